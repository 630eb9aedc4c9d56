"""New files in a folder, each given once it is no longer being written.

Some scanners pause for longer than all files should have to wait. A file that lacks the end that
its format promises waits longer.
"""

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from pathlib import Path

from zipocr.images.listing import ImageFile, list_inputs, stamp_of
from zipocr.images.truncation import ends_early

TICK_SECONDS = 0.5
# Listing a large folder takes its time; it may not take more than this share of it.
MAX_SHARE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A file that is new and rests."""

    file: ImageFile
    stamp: str


@dataclass(slots=True, kw_only=True, eq=False)
class _Waiting:
    """A file that may still be written: its stamp, since when it has had it, and what was found."""

    stamp: str
    since: float
    ends_early: bool | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class Watcher:
    """Watches a folder and all folders in it.

    Attributes
    ----------
    folder : Path
        Where files arrive.
    known : dict
        Stamps of the files that have been given already, by name.
    settle : float
        Seconds for which size and time of a file must not change.
    settle_limit : float
        The same for a file that ends early.
    poll : float
        Seconds after which the folder is listed even if nothing was heard of it.
    exclude : Path or None
        A folder in it that is none of its business.
    row_name : callable
        Names the rows of a file by the name that it has in the folder.
    """

    folder: Path
    known: dict[str, str]
    settle: float
    settle_limit: float
    poll: float
    exclude: Path | None = None
    row_name: Callable[[str], str] = str
    _restless: dict[str, _Waiting] = field(default_factory=dict)

    def look(self, now: float) -> list[Arrival]:
        """List the folder.

        Parameters
        ----------
        now : float
            Seconds on any clock that only goes forward.

        Returns
        -------
        list of Arrival
            What is new and was seen unchanged for long enough, in the order of the listing. A
            folder that is not there, as on a network, holds nothing for now.
        """
        if not self.folder.is_dir():
            return []
        before, self._restless = self._restless, {}
        arrivals: list[Arrival] = []
        for listed in list_inputs((self.folder,), exclude=self.exclude).files:
            file = replace(listed, name=self.row_name(listed.name))
            stamp = stamp_of(file.place)
            if not stamp or self.known.get(file.name) == stamp:
                continue
            waiting = before.get(file.name)
            if waiting is None or waiting.stamp != stamp:
                waiting = _Waiting(stamp=stamp, since=now)
            if self._rests(file, waiting, now):
                self.known[file.name] = stamp
                arrivals.append(Arrival(file=file, stamp=stamp))
            else:
                self._restless[file.name] = waiting
        return arrivals

    def _rests(self, file: ImageFile, waiting: _Waiting, now: float) -> bool:
        """Whether a file has not changed for long enough; as it is, it is looked into once."""
        if now - waiting.since < self.settle:
            return False
        if waiting.ends_early is None:
            waiting.ends_early = ends_early(Path(file.place))
        return not waiting.ends_early or now - waiting.since >= self.settle_limit

    def arrivals(self) -> Generator[list[Arrival], None, None]:
        """Look when something happens, and at intervals, since networks send no notice.

        Yields
        ------
        list of Arrival
            What is new; at least every few seconds, and then often empty.
        """
        listed, took = float("-inf"), 0.0
        for changed in _ticks(self.folder):
            now = time.monotonic()
            due = changed or self._restless or now - listed >= self.poll
            if due and now - listed >= took / MAX_SHARE:
                found = self.look(now)
                listed, took = now, time.monotonic() - now
                yield found
            else:
                yield []


def _ticks(folder: Path) -> Generator[bool, None, None]:
    """Tick, and say whether something happened in the folder since."""
    from watchfiles import watch

    yield True
    try:
        for changes in watch(
            folder,
            watch_filter=None,
            rust_timeout=int(1000 * TICK_SECONDS),
            yield_on_timeout=True,
            raise_interrupt=True,
            ignore_permission_denied=True,
        ):
            yield bool(changes)
    except OSError:
        # The folder cannot be watched, or no longer: it can still be listed.
        while True:
            time.sleep(TICK_SECONDS)
            yield False
