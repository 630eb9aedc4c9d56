"""Entry point of the command ``zipocr`` and of ``python -m zipocr``.

Spawned worker processes import this module, so it imports next to nothing.
"""

import os
import sys

_STDERR = 2


def main() -> None:
    """Run the command line."""
    _occupy_standard_streams()
    _read_names_as_utf8()
    try:
        from zipocr.cli import main as command
    except KeyboardInterrupt:
        from zipocr.errors import ExitCode

        sys.exit(ExitCode.INTERRUPTED)
    command()


def _occupy_standard_streams() -> None:
    """Open standard streams that were closed when the program started.

    Otherwise another file would get their descriptor, and with it messages for standard error.
    """
    while (opened := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        os.set_inheritable(opened, True)
    os.close(opened)


def _read_names_as_utf8() -> None:
    """Restart in UTF-8 mode if file names are not decoded as UTF-8.

    Otherwise rows would depend on the locale.
    """
    if sys.getfilesystemencoding() != "utf-8":
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])


if __name__ == "__main__":
    main()
