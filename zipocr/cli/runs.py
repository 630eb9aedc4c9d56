"""Settings, progress and summaries of all commands that read."""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from zipocr.cli.config_file import origins
from zipocr.cli.logs import LOG, console
from zipocr.cli.terminal import say
from zipocr.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from zipocr.batch.read_files import BatchSettings, FileResult
    from zipocr.config import ScanConfig

FAILURES_NAMED = 20
# If at least this share and number of ZIPs are upside down, the stack probably is.
UPSIDE_DOWN_SHARE, MIN_UPSIDE_DOWN = 0.5, 10


def settings_of(config: ScanConfig) -> BatchSettings:
    """Return the settings for the reading processes.

    The user's list of ZIP codes is read here, since it may change during the run.
    """
    from zipocr.batch.read_files import BatchSettings
    from zipocr.cli.directories import own_directory

    return BatchSettings(
        model=config.model,
        max_error=config.max_error,
        min_confidence=config.min_confidence,
        use_directory=not config.no_directory,
        directory=own_directory(config.directory, no_directory=config.no_directory),
        max_pixels=config.max_pixels,
        debug=config.debug,
        patience=patience_of(config),
        require_listed=config.require_listed,
    )


def patience_of(config: ScanConfig) -> float:
    """Return how many seconds to wait for a file on S3: less than the page timeout.

    Otherwise a service that does not answer would cost pages, as if they hung.
    """
    from zipocr.images.s3 import PATIENCE

    if config.patience is not None:
        return config.patience
    return PATIENCE if config.timeout is None else min(PATIENCE, config.timeout / 2)


def limits_of(config: ScanConfig) -> dict[str, object]:
    """Return the options that limit which pages are read."""
    return {"timeout": config.timeout, "max_memory_per_worker": config.max_memory_per_worker}


def facts_of(config: ScanConfig) -> dict[str, object]:
    """Return facts for the record that do not affect any row."""
    return {
        **origins(),
        "model_name": config.model,
        "directory_file": config.directory and to_text(config.directory),
        "jobs": config.jobs,
        "debug": config.debug and to_text(config.debug),
        "folder": to_text(Path.cwd()),
    }


def to_text(path: Path) -> str:
    """Format a path as rows format names."""
    from zipocr.results.cells import to_cell

    return to_cell(str(path))


def exit_code(counts: Mapping[str, int]) -> ExitCode:
    """Return the exit code that says whether all inputs could be opened."""
    from zipocr.batch.read_files import FAILED

    return ExitCode.SOME_INPUTS_FAILED if counts.get(FAILED) else ExitCode.DONE


def tell(lines: Iterable[str], config: ScanConfig) -> None:
    """Print final lines for people, and log them."""
    for line in lines:
        LOG.info("%s", line)
        if not (config.quiet or config.verbose):
            say(line)


@contextmanager
def progress(files: int, *, quiet: bool) -> Iterator[Callable[[], None]]:
    """Show a progress bar if standard error is a terminal."""
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = ("reading", BarColumn(), MofNCompleteColumn(), "files", TimeRemainingColumn())
    with Progress(*columns, console=console(), transient=True) as bar:
        task = bar.add_task("reading", total=files)
        yield lambda: bar.advance(task)


def _count_upside_down(outcome: FileResult) -> int:
    """Count the pages that were read upside down; rows are parsed only if any may be."""
    from zipocr.types import Reason

    if Reason.TURNED_180 not in outcome.lines:
        return 0
    return sum(Reason.TURNED_180 in row.reason for row in outcome.rows)


@dataclass(slots=True, kw_only=True)
class Tally:
    """Counts of pages by outcome, for the summary."""

    skipped: int
    counts: Counter[str] = field(default_factory=Counter)
    named: list[tuple[str, str]] = field(default_factory=list)
    earlier: int = 0
    changed: int = 0
    upside_down: int = 0

    def begin_anew(self) -> None:
        """Attribute the counts so far to an earlier run."""
        self.earlier = self.counts.total()

    def add(self, outcome: FileResult) -> None:
        """Count a file's pages.

        A page that could not be opened is ``failed`` and not ``unread``.
        """
        self.counts.update(outcome.counts)
        self.upside_down += _count_upside_down(outcome)
        room = FAILURES_NAMED - len(self.named)
        if outcome.failures and room:
            from zipocr.results.cells import to_cell

            name = to_cell(outcome.rows[0].file)
            self.named.extend((name, failure) for failure in outcome.failures[:room])

    def take_back(self, outcome: FileResult, *, is_earlier: bool) -> None:
        """Subtract a file's pages, since it has changed and was read again."""
        from zipocr.results.cells import to_cell

        self.changed += 1
        self.counts -= Counter(outcome.counts)
        self.upside_down -= _count_upside_down(outcome)
        self.earlier -= len(outcome.counts) if is_earlier else 0
        name = to_cell(outcome.rows[0].file)
        self.named = [(other, failure) for other, failure in self.named if other != name]

    def lines(self, *, seconds: float) -> Iterator[str]:
        """Summarize in a few lines, failures first and totals last."""
        from zipocr.batch.read_files import FAILED, FAILURES

        counts, failed = self.counts, self.counts[FAILED]
        pages = counts.total()
        yield from (f"failed: {name}: {failure}" for name, failure in self.named)
        if failed > len(self.named):
            yield (
                f"failed: {failed - len(self.named)} more, see the rows with one of the reasons "
                f"{', '.join(sorted(FAILURES))}"
            )
        if not pages:
            yield "warning: no images found"
        found = counts["read"] + counts["review"]
        if self.upside_down >= max(MIN_UPSIDE_DOWN, UPSIDE_DOWN_SHARE * found):
            share = f"{self.upside_down} of {found}"
            yield f"warning: {share} ZIPs were upside down; was the stack fed the wrong way?"
        if self.skipped:
            yield f"skipped {self.skipped} other files"
        if self.changed:
            yield f"read again, since they had changed: {self.changed} files"
        parts = (
            f"read {counts['read']}, to review {counts['review']}, unread {counts['unread']}, "
            f"failed {failed}"
        )
        before = f", {self.earlier} of them before," if self.earlier else ""
        yield (
            f"{parts}; {pages} crop{'' if pages == 1 else 's'}{before} in {seconds:.1f} s "
            f"({(pages - self.earlier) / max(seconds, 1e-9):.1f} crops per second)"
        )
