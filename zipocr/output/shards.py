"""Runs too large for one file: each shard of a manifest becomes one Parquet part.

A part contains the identity of its run (manifest, model, options, versions), its shard's number,
the number of shards, the counts of pages, and a digest of the stamps of its files: if a file has
changed since, the part is rewritten. Nothing else records what is finished, so parts may be written
at any time, and merged when all exist.
"""

import os
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path

from zipocr.errors import InputError, OutputError
from zipocr.images.listing import ImageFile, stamped
from zipocr.images.manifest import Manifest
from zipocr.images.s3 import PATIENCE
from zipocr.output.run import stamps_digest
from zipocr.results.formats import open_results
from zipocr.results.parquet_file import (
    ROWS,
    Metadata,
    read_facts,
    read_rows,
    write_part,
)
from zipocr.results.row import Row
from zipocr.storage.atomic import Version, version_of
from zipocr.storage.journal import differences, open_journal

PARQUET = ".parquet"
VERSIONS = "input_versions_sha256"
_MAX_LISTED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class PartFacts:
    """The checked metadata of a part.

    Its shard's number, the number of shards, its run, its counts of pages, and the versions of its
    files.
    """

    identity: Metadata
    shard: int
    shards: int
    counts: Mapping[str, int]
    versions: object


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """A folder of parts: the missing ones, and the counts of pages in the others.

    Shards are numbered from 1. ``identity`` is that of the run; ``size`` is the number of inputs
    per shard, of which the last may have fewer. ``changed`` counts parts that exist but whose files
    have changed since; they are missing, too.
    """

    folder: Path
    identity: Metadata
    size: int
    manifest: Manifest
    missing: Sequence[int]
    changed: Mapping[Path, Version | None]
    counts: Mapping[str, int]

    @property
    def shards(self) -> int:
        """Number of shards."""
        return shards_of(self.manifest, self.size)

    def finished(self) -> int:
        """Number of valid parts from earlier runs."""
        paths = (part_path(self.folder, shard) for shard in range(1, self.shards + 1))
        return sum(version_of(path) not in (None, self.changed.get(path)) for path in paths)

    def length(self, shard: int) -> int:
        """Return the number of inputs in a shard."""
        return min(self.size, self.manifest.count - (shard - 1) * self.size)

    def files(self) -> Iterator[ImageFile]:
        """Yield the inputs of all missing shards, in order.

        Raises
        ------
        InputError
            If the manifest is shorter than it was.
        """
        missing = set(self.missing)
        for shard, files in shards(self.manifest, self.size):
            if shard in missing:
                yield from files

    def write(
        self,
        shard: int,
        rows: Sequence[Row],
        counts: Mapping[str, int],
        stamps: Iterable[str],
    ) -> None:
        """Write the part of a shard, whose files had these stamps when read."""
        facts = {
            "identity": self.identity,
            "shard": shard,
            "shards": self.shards,
            "counts": dict(sorted(counts.items())),
            VERSIONS: stamps_digest(stamps),
        }
        write_part(part_path(self.folder, shard), rows, facts)


def shards_of(manifest: Manifest, size: int) -> int:
    """Return the number of shards of a manifest."""
    return -(-manifest.count // size)


def shards(manifest: Manifest, size: int) -> Iterator[tuple[int, Iterator[ImageFile]]]:
    """Split a manifest into shards. Inputs of a shard that are not consumed are skipped.

    Raises
    ------
    InputError
        If it is shorter than it was.
    """
    files = manifest.files()
    for shard in range(1, shards_of(manifest, size) + 1):
        length = min(size, manifest.count - (shard - 1) * size)
        own = _exactly(length, files, manifest)
        yield shard, own
        deque(own, maxlen=0)


def _exactly(length: int, files: Iterator[ImageFile], manifest: Manifest) -> Iterator[ImageFile]:
    found = 0
    for found, file in enumerate(islice(files, length), start=1):  # noqa: B007 - counts
        yield file
    if found < length:
        message = (
            f"The manifest {manifest.path} was changed meanwhile. Leave it as it is, and run again."
        )
        raise InputError(message)


def part_path(folder: Path, shard: int) -> Path:
    """Return the path of a shard's part."""
    return folder / f"part-{shard:07d}{PARQUET}"


@contextmanager
def open_parts(
    folder: Path,
    identity: Metadata,
    *,
    manifest: Manifest,
    size: int,
    force: bool,
    patience: float = PATIENCE,
) -> Iterator[Parts]:
    """Open a folder for the parts of a run, created if needed and locked against other runs.

    Parameters
    ----------
    folder : Path
        The folder of the parts.
    identity : mapping
        The identity of the run; see `zipocr.output.run.identify`.
    manifest : Manifest
        The inputs.
    size : int
        Number of inputs per shard.
    force : bool
        Remove existing parts and start over.
    patience : float
        Seconds to wait for S3.

    Yields
    ------
    Parts
        The folder and its missing parts.

    Raises
    ------
    OutputError
        If the folder cannot be written, another run is using it, or it contains a Parquet file that
        is not a part of this run.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = (
            f"Cannot make the folder {folder}: {error.strerror}. Choose another place with "
            "--out-dir."
        )
        raise OutputError(message) from error
    # Only for its lock; the parts themselves record what is finished.
    with open_journal(folder / "parts.journal", identity, resume=True, force=force):
        if force:
            for path in _parquet_files(folder):
                path.unlink()
        _refuse_others(folder, shards_of(manifest, size))
        yield _survey(folder, identity, manifest, size, patience)


def _survey(
    folder: Path,
    identity: Metadata,
    manifest: Manifest,
    size: int,
    patience: float,
) -> Parts:
    """Find the existing parts whose files have not changed."""
    numbers = range(1, shards_of(manifest, size) + 1)
    told = {shard: _facts_of_own(part_path(folder, shard), identity, shard) for shard in numbers}
    there = {shard: facts for shard, facts in told.items() if facts is not None}
    counts: Counter[str] = Counter()
    for shard, files in islice(shards(manifest, size), max(there, default=0)):
        if shard in there and _is_of(there[shard], stamped(files, patience=patience)):
            counts.update(there.pop(shard).counts)
            told.pop(shard)
    return Parts(
        folder=folder,
        identity=identity,
        size=size,
        manifest=manifest,
        missing=list(told),
        changed={path: version_of(path) for path in (part_path(folder, shard) for shard in there)},
        counts=counts,
    )


def _is_of(facts: PartFacts, files: Iterable[tuple[ImageFile, str]]) -> bool:
    """Return whether a part was made from these files as they are now."""
    return facts.versions == stamps_digest(stamp for _, stamp in files)


def _read_part(path: Path) -> PartFacts | None:
    """Read the metadata of a part; None if it is not a part, or damaged."""
    facts = read_facts(path)
    if facts is None:
        return None
    try:
        told = {name: facts[name] for name in ("identity", "shard", "shards", "counts")}
        found = PartFacts(**told, versions=facts.get(VERSIONS))
        return found if _is_sound(found, facts[ROWS]["count"]) else None
    except (KeyError, TypeError):
        return None


def _is_sound(facts: PartFacts, rows: object) -> bool:
    """Return whether the types of untrusted metadata are correct."""
    if not (isinstance(facts.identity, dict) and isinstance(facts.counts, dict)):
        return False
    counts = list(facts.counts.values())
    if any(type(number) is not int for number in (facts.shard, facts.shards, rows, *counts)):
        return False
    return 1 <= facts.shard <= facts.shards and min(counts, default=0) >= 0 and sum(counts) == rows


def _facts_of_own(path: Path, identity: Metadata, shard: int) -> PartFacts | None:
    """Read the metadata of a shard's part; None if there is none yet."""
    if not os.path.lexists(path):
        return None
    facts = _read_part(path)
    if facts is None or facts.shard != shard:
        message = (
            f"{path} is not what its name says, or damaged. Remove it, or start over with --force."
        )
        raise OutputError(message)
    if changes := differences(facts.identity, identity):
        message = (
            f"{path} was made differently: {'; '.join(changes)}. Give the "
            "same again, or start over with --force."
        )
        raise OutputError(message)
    return facts


def _refuse_others(folder: Path, shards: int) -> None:
    own = {part_path(folder, shard) for shard in range(1, shards + 1)}
    for path in _parquet_files(folder):
        if path not in own:
            message = (
                f"{path} is not a part of this run. Choose another --out-dir, or start over with "
                "--force."
            )
            raise OutputError(message)


def _parquet_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix == PARQUET and not path.is_dir())


@dataclass(frozen=True, slots=True, kw_only=True)
class Merger:
    """All parts of one run, in order, and the identity of the run."""

    parts: Sequence[Path]
    identity: Metadata
    counts: Mapping[str, int]

    def write(self, target: str, *, name: str | None = None, force: bool = False) -> int:
        """Write all rows to one file, atomically, and count them.

        An existing file is only replaced with ``force``. ``name`` is that of the format, if the
        target's name does not determine it.

        Raises
        ------
        InputError
            If a part cannot be read.
        OutputError
            If the file cannot be written.
        """
        written, facts = 0, {"identity": self.identity, "counts": self.counts}
        with open_results(target, name=name, force=force, facts=facts) as results:
            for part in self.parts:
                rows = list(read_rows(part))
                results.write(rows)
                written += len(rows)
        return written


def find_parts(folder: Path) -> Merger:
    """Find the parts of one run, and check that they are complete.

    Raises
    ------
    InputError
        If a part is missing, duplicate, from another run or invalid; the message names it.
    """
    found: dict[int, tuple[Path, PartFacts]] = {}
    for path in _parquet_files(folder):
        facts = _read_part(path)
        if facts is None:
            message = (
                f"{path} is not a part that 'zipocr scan --manifest' wrote, or damaged. Remove "
                "it, or scan again."
            )
            raise InputError(message)
        first = next(iter(found.values()), (path, facts))
        _refuse_unlike(first, (path, facts))
        if facts.shard in found:
            message = (
                f"{found[facts.shard][0].name} and {path.name} are the same part. Remove one of "
                "them."
            )
            raise InputError(message)
        found[facts.shard] = path, facts
    if not found:
        message = (
            f"There are no parts in {folder}. Make some with 'zipocr scan --manifest FILE "
            "--out-dir DIR'."
        )
        raise InputError(message)
    return _merger([found[shard] for shard in sorted(found)])


def _refuse_unlike(first: tuple[Path, PartFacts], other: tuple[Path, PartFacts]) -> None:
    """Refuse parts of different runs."""
    then, now = first[1], other[1]
    changes = differences(
        {"run": then.identity, "parts": then.shards}, {"run": now.identity, "parts": now.shards}
    )
    if changes:
        told = "; ".join(change.removeprefix("run ") for change in changes)
        message = (
            f"{other[0].name} is of another run than {first[0].name}: {told}. Merge one run at a "
            "time."
        )
        raise InputError(message)


def _merger(found: Sequence[tuple[Path, PartFacts]]) -> Merger:
    first = found[0][1]
    _refuse_gaps([facts.shard for _, facts in found], first.shards)
    counts: Counter[str] = Counter()
    for _, facts in found:
        counts.update(facts.counts)
    return Merger(
        parts=[path for path, _ in found],
        identity=first.identity,
        counts=dict(sorted(counts.items())),
    )


def _refuse_gaps(found: Sequence[int], shards: int) -> None:
    gaps = [
        (before + 1, after - 1)
        for before, after in pairwise([0, *found, shards + 1])
        if after - before > 1
    ]
    if gaps:
        message = (
            f"Of {shards} parts {shards - len(found)} are missing: {_ranges(gaps)}. The scan that "
            "made the others makes these, too."
        )
        raise InputError(message)


def _ranges(gaps: Sequence[tuple[int, int]]) -> str:
    """Format ranges of numbers, ends included.

    Examples
    --------
    >>> _ranges([(1, 1), (3, 5)])
    '1, 3-5'
    """
    texts = [str(first) if first == last else f"{first}-{last}" for first, last in gaps]
    return ", ".join([*texts[:_MAX_LISTED], *(["..."] if len(texts) > _MAX_LISTED else [])])
