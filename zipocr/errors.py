"""Troubles a user can cure, each with the exit code it ends the program with.

Every constructor takes one string, the message with its cure, so that the errors survive pickling on their way out of a worker process.
"""

from enum import IntEnum


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
    """Base of all errors that are reported in one line and not as a traceback."""

    exit_code = ExitCode.INPUT

    def __init__(self, message: str) -> None:
        super().__init__(message)


class InputError(ZipocrError):
    """An input that the whole run needs cannot be used."""

    exit_code = ExitCode.INPUT


class ModelError(ZipocrError):
    """A model file is missing, damaged, foreign or made for other settings, or promises less than it is asked for."""

    exit_code = ExitCode.MODEL


class OutputError(ZipocrError):
    """The results cannot be written."""

    exit_code = ExitCode.OUTPUT


class BackendError(ZipocrError):
    """The workers cannot be started or were lost."""

    exit_code = ExitCode.BACKEND
