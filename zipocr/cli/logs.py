"""Logging.

For people on standard error, and for programs as JSON lines in a file.
"""

from __future__ import annotations

import json
import logging
import sys
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from errno import EINVAL
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from zipocr.cli.terminal import PlainLines, say
from zipocr.errors import OutputError, ZipocrError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import TextIOWrapper

    from rich.console import Console

    from zipocr.batch.read_files import FileResult
    from zipocr.config import ScanConfig

LOG = logging.getLogger("zipocr")
LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)
"""Log level by the number of ``-v``; without it, standard error only gets the summary."""

FIELDS = ("file", "page", "reason", "zip")


class JsonLines(logging.Formatter):
    """Formatter that writes one JSON object per line.

    Contains time, level and message, and file, page and reason if the message is about a page.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Format a record."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **{name: getattr(record, name) for name in FIELDS if hasattr(record, name)},
        }
        return json.dumps(line)


class LogFile(logging.FileHandler):
    """Handler for the log file.

    If it can no longer be written, it is abandoned with a warning: the results matter more.
    """

    def _open(self) -> TextIOWrapper:
        """Refuse a pipe: if nothing reads it, opening it blocks."""
        if Path(self.baseFilename).is_fifo():
            raise OSError(EINVAL, "a pipe, not a file")
        return super()._open()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - logging's signature
        """Warn once that the log cannot be written."""
        say(f"warning: cannot write to the log file: {sys.exc_info()[1]}")
        LOG.removeHandler(self)

    def close(self) -> None:
        """Close the file, even if its end cannot be written."""
        with suppress(OSError):
            super().close()


@cache
def console() -> Console:
    """Return the console for standard error.

    The progress bar and the log share it, so that neither overwrites the other.
    """
    from rich.console import Console

    return Console(stderr=True)


@contextmanager
def logs(config: ScanConfig) -> Iterator[None]:
    """Log as the options specify, and finally how the command ended.

    Raises
    ------
    OutputError
        If the log file cannot be opened.
    """
    handlers, before = list(_handlers(config)), (LOG.level, LOG.propagate)
    for handler in handlers:
        LOG.addHandler(handler)
    LOG.setLevel(min((handler.level for handler in handlers), default=logging.CRITICAL))
    LOG.propagate = False
    try:
        yield
    except ZipocrError as error:
        LOG.error("%s", error)
        raise
    except (KeyboardInterrupt, SystemExit):
        LOG.warning("interrupted")
        raise
    finally:
        for handler in handlers:
            LOG.removeHandler(handler)
            handler.close()
        LOG.setLevel(before[0])
        LOG.propagate = before[1]


def _handlers(config: ScanConfig) -> Iterator[logging.Handler]:
    if config.log_file:
        try:
            file = LogFile(config.log_file, encoding="utf-8")
        except OSError as error:
            message = (
                f"Cannot write {config.log_file}: {error.strerror}. Choose another place for the "
                "log."
            )
            raise OutputError(message) from error
        file.setFormatter(JsonLines())
        file.setLevel(min(logging.INFO, LEVELS[min(config.verbose, 2)]))
        yield file
    if config.verbose and not config.quiet and sys.stderr is not None:
        yield _console_handler(LEVELS[min(config.verbose, 2)])


def _console_handler(level: int) -> logging.Handler:
    """Return a handler: coloured and above the bar on a terminal, plain lines elsewhere."""
    handler: logging.Handler
    if sys.stderr.isatty():
        from rich.highlighter import NullHighlighter
        from rich.logging import RichHandler

        handler = RichHandler(console=console(), show_path=False, highlighter=NullHighlighter())
        handler.setFormatter(PlainLines())
    else:
        handler = logging.StreamHandler()
        handler.setFormatter(PlainLines("%(levelname)s: %(message)s"))
    handler.setLevel(level)
    return handler


def log_outcome(outcome: FileResult) -> None:
    """Log the result of each page: a warning if it could not be opened."""
    if not (outcome.failures or LOG.isEnabledFor(logging.DEBUG)):
        return
    from zipocr.batch.read_files import FAILURES
    from zipocr.results.cells import to_cell

    failures = iter(outcome.failures)
    for row in outcome.rows:
        about = {"file": row.file, "page": row.page, "reason": ";".join(row.reason), "zip": row.zip}
        where = f"{to_cell(row.file)}, page {row.page}"
        if FAILURES.intersection(row.reason):
            LOG.warning("%s: %s", where, next(failures, ""), extra=about)
        else:
            LOG.debug("%s: %s %s", where, row.status, row.zip, extra=about)
