"""Troubles a user can cure, each with the exit code it ends the program with.

Every constructor takes one string, the message with its cure, so that the errors survive pickling
on their way out of a worker process.
"""

import os
import re
from enum import IntEnum

_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printable(text: str | os.PathLike[str]) -> str:
    r"""Escape what a terminal, a log or an encoder might not take for plain text.

    Control characters, marks that turn the direction of writing and bytes that are no text become
    ``\xNN`` or ``\uNNNN``. All else stays, also backslashes: what is escaped once stays as it is.

    Examples
    --------
    >>> print(printable("a\x1b[31m.png"))
    a\x1b[31m.png
    """
    return _UNPRINTABLE.sub(_escape, os.fspath(text))


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file name that is no text
        code -= 0xDC00
    return rf"\x{code:02x}" if code <= 0xFF else rf"\u{code:04x}"


class ExitCode(IntEnum):
    """What the process tells its caller."""

    DONE = 0
    SOME_INPUTS_FAILED = 1
    USAGE = 2
    INPUT = 3
    MODEL = 4
    OUTPUT = 5
    BACKEND = 6
    INTERRUPTED = 130


class ZipocrError(Exception):
    """Base of all errors that are reported in one line and not as a traceback.

    Messages quote names and cells of files that anybody may have written: they are made printable
    here, before a terminal, a log or a page can show them.
    """

    exit_code = ExitCode.INPUT

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class InputError(ZipocrError):
    """An input that the whole run needs cannot be used."""

    exit_code = ExitCode.INPUT


class ModelError(ZipocrError):
    """A model file is missing, damaged, foreign, or promises less than it is asked for."""

    exit_code = ExitCode.MODEL


class OutputError(ZipocrError):
    """The results cannot be written."""

    exit_code = ExitCode.OUTPUT


class BackendError(ZipocrError):
    """The workers cannot be started or were lost."""

    exit_code = ExitCode.BACKEND
