"""New files in a folder, once they are completely written.

Since some scanners pause in the middle of a file, a file whose contents are incomplete waits
longer.
"""

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from pathlib import Path

from zipocr.images.listing import ImageFile, list_inputs, stamp_of
from zipocr.images.truncation import ends_early

TICK_SECONDS = 0.5
# Maximum share of the time spent listing the folder.
MAX_SHARE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A new file that is no longer changing."""

    file: ImageFile
    stamp: str


@dataclass(slots=True, kw_only=True, eq=False)
class _Waiting:
    """A file that may still be growing: its stamp, the time of the stamp, and what was found."""

    stamp: str
    since: float
    ends_early: bool | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class Watcher:
    """Watcher of a folder and its subfolders.

    Attributes
    ----------
    folder : Path
        Where files arrive.
    known : dict
        Stamps of the files yielded already, by name.
    settle : float
        Seconds for which the size and modification time of a file must not change.
    settle_limit : float
        The same for an incomplete file.
    poll : float
        Seconds after which the folder is listed even without a notification.
    exclude : Path or None
        A subfolder to ignore.
    row_name : callable
        Returns the row name of a file from its name in the folder.
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
            Time on a monotonic clock in seconds.

        Returns
        -------
        list of Arrival
            New files that have been unchanged for long enough, in listing order. A missing folder,
            as on a network, counts as empty.
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
        """Return whether a file has been unchanged for long enough; each version is opened once."""
        if now - waiting.since < self.settle:
            return False
        if waiting.ends_early is None:
            waiting.ends_early = ends_early(Path(file.place))
        return not waiting.ends_early or now - waiting.since >= self.settle_limit

    def arrivals(self) -> Generator[list[Arrival], None, None]:
        """List the folder on notifications and at intervals, since network folders send none.

        Yields
        ------
        list of Arrival
            New files, at least every few seconds and often empty.
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
    """Yield at intervals whether anything has happened in the folder."""
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
        # The folder cannot be watched, or no longer can, but it can still be listed.
        while True:
            time.sleep(TICK_SECONDS)
            yield False
