"""New files in a folder, each given once it rests: a scanner may still be writing those that have just appeared."""

import time
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

from zipocr.images import ImageFile, list_inputs

TICK_SECONDS = 0.5
# Listing a large folder takes its time; it may not take more than this share of it.
LARGEST_SHARE = 0.2

Stamp = tuple[int, int]
"""Size and time of the last change in nanoseconds: a file under the same name with another one is another file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A file that is new and rests."""

    file: ImageFile
    stamp: Stamp


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
    poll : float
        Seconds after which the folder is listed even if nothing was heard of it.
    exclude : Path or None
        A folder in it that is none of its business.
    """

    folder: Path
    known: dict[str, Stamp]
    settle: float
    poll: float
    exclude: Path | None = None
    _restless: dict[str, tuple[Stamp, float]] = field(default_factory=dict)

    def look(self, now: float) -> list[Arrival]:
        """List the folder.

        Parameters
        ----------
        now : float
            Seconds on any clock that only goes forward.

        Returns
        -------
        list of Arrival
            What is new and was seen unchanged for long enough, in the order of the listing. A folder that is not there, as on a network,
            holds nothing for now.
        """
        if not self.folder.is_dir():
            return []
        before, self._restless = self._restless, {}
        arrivals: list[Arrival] = []
        for file in list_inputs((self.folder,), exclude=self.exclude).files:
            stamp = _stamp(self.folder / file.name)
            if stamp is None or self.known.get(file.name) == stamp:
                continue
            earlier, since = before.get(file.name, (stamp, now))
            since = since if earlier == stamp else now
            if now - since >= self.settle:
                self.known[file.name] = stamp
                arrivals.append(Arrival(file=file, stamp=stamp))
            else:
                self._restless[file.name] = stamp, since
        return arrivals

    def arrivals(self) -> Generator[list[Arrival], None, None]:
        """Look whenever something happens, and now and then in any case, since networks do not tell and systems forget.

        Yields
        ------
        list of Arrival
            What is new; at least every few seconds, and then often empty.
        """
        listed, took = float("-inf"), 0.0
        for changed in _ticks(self.folder):
            now = time.monotonic()
            due = changed or self._restless or now - listed >= self.poll
            if due and now - listed >= took / LARGEST_SHARE:
                found = self.look(now)
                listed, took = now, time.monotonic() - now
                yield found
            else:
                yield []


def _stamp(path: Path) -> Stamp | None:
    """Tell a file's stamp; None if it has vanished. A link to nowhere has that of the link."""
    for stat in (path.stat, path.lstat):
        try:
            found = stat()
        except OSError:
            continue
        return found.st_size, found.st_mtime_ns
    return None


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
