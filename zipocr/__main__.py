"""Where the command ``zipocr`` and ``python -m zipocr`` begin.

Processes that are started afresh import what began the program. This is next to nothing; they have
no use for click.
"""

import os
import sys

_STDERR = 2


def main() -> None:
    """Run the command line."""
    _occupy_standard_streams()
    _read_names_as_utf8()
    from zipocr.cli import main as command

    command()


def _occupy_standard_streams() -> None:
    """Open what was closed at the start.

    A file of ours would get its number, and with it what is meant for standard error.
    """
    while (opened := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        os.set_inheritable(opened, True)
    os.close(opened)


def _read_names_as_utf8() -> None:
    """Begin anew where names of files are not taken for UTF-8.

    Their rows would differ from those of another locale.
    """
    if sys.getfilesystemencoding() != "utf-8":
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])


if __name__ == "__main__":
    main()
