"""Errors that a user can fix, each with its exit code.

Every constructor takes one string, the message with its remedy, so that errors can be pickled by
worker processes.
"""

import os
import re
from enum import IntEnum

_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printable(text: str | os.PathLike[str]) -> str:
    r"""Escape characters that are not plain text for a terminal, a log or an encoder.

    Control characters, bidirectional marks and undecodable bytes become ``\xNN`` or ``\uNNNN``. All
    else stays, including backslashes, so that escaping is idempotent.

    Examples
    --------
    >>> print(printable("a\x1b[31m.png"))
    a\x1b[31m.png
    """
    return _UNPRINTABLE.sub(_escape, os.fspath(text))


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:  # an undecodable byte of a file name
        code -= 0xDC00
    return rf"\x{code:02x}" if code <= 0xFF else rf"\u{code:04x}"


class ExitCode(IntEnum):
    """The exit codes of the commands."""

    DONE = 0
    SOME_INPUTS_FAILED = 1
    USAGE = 2
    INPUT = 3
    MODEL = 4
    OUTPUT = 5
    BACKEND = 6
    INTERRUPTED = 130


class ZipocrError(Exception):
    """Base of all errors that are reported in one line instead of a traceback.

    Messages quote untrusted names and cells, so they are made printable here.
    """

    exit_code = ExitCode.INPUT

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class InputError(ZipocrError):
    """Raised if an input of the whole run cannot be used."""

    exit_code = ExitCode.INPUT


class ModelError(ZipocrError):
    """Raised if a model file is missing, invalid, or cannot promise the error rate."""

    exit_code = ExitCode.MODEL


class OutputError(ZipocrError):
    """Raised if results cannot be written."""

    exit_code = ExitCode.OUTPUT


class BackendError(ZipocrError):
    """Raised if workers cannot be started or are lost."""

    exit_code = ExitCode.BACKEND
