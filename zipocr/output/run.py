"""Outputs of a run: a file that appears when complete, with a journal; or standard output.

During a run there is ``results.csv.journal``; at its end ``results.csv`` and ``results.csv.json``
with the provenance replace it.

The journal keeps the rows of each input with the stamp that its file had before reading. If the
file has been replaced since, it is read again and its rows are superseded.
"""

import hashlib
import json
import os
import platform
from array import array
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

from zipocr import __version__
from zipocr.batch.backends import Backend
from zipocr.batch.read_files import BatchSettings, FileResult, read_stamped
from zipocr.errors import InputError, OutputError
from zipocr.images.listing import ImageFile, stamp_of, stamped
from zipocr.models.model_file import model_digest
from zipocr.results.cells import to_cell
from zipocr.results.csv_file import parse_rows
from zipocr.results.formats import ResultsWriter, open_results, update_results, usable_format
from zipocr.results.sinks import STDOUT, sidecar_path
from zipocr.storage.atomic import Version, refuse_existing, version_of, write_whole
from zipocr.storage.journal import Journal, differences, open_journal
from zipocr.storage.untrusted import open_plain, parse_json, read_plain
from zipocr.types import Place

LIBRARIES = ("numpy", "scipy", "onnxruntime", "Pillow", "pillow-heif", "pypdfium2")
"""Libraries that rows depend on, besides OpenCV; the last two are optional."""

Metadata = Mapping[str, Any]


UNREAD, CHANGED = -1, -2


@dataclass(slots=True, kw_only=True, eq=False)
class Progress:
    """The progress of reading a list of inputs.

    Attributes
    ----------
    files : sequence of ImageFile
        The inputs.
    positions : array of int
        The position of each input's rows in the journal; `UNREAD` if there is none, `CHANGED` if
        the file has been replaced since. Eight bytes each, since there may be very many.
    """

    files: Sequence[ImageFile]
    positions: "array[int]" = field(init=False)

    def __post_init__(self) -> None:
        """Start with no rows."""
        self.positions = array("q", [UNREAD]) * len(self.files)

    @property
    def changed(self) -> int:
        """Number of inputs to be read again."""
        return self.positions.count(CHANGED)

    @property
    def finished(self) -> int:
        """Number of inputs that need not be read."""
        return sum(1 for _ in self.kept())

    def kept(self) -> Iterator[int]:
        """Yield the positions of finished inputs, in input order."""
        return (position for position in self.positions if position >= 0)

    def unfinished(self) -> Iterator[int]:
        """Yield the indices of the inputs to be read."""
        return (number for number, position in enumerate(self.positions) if position < 0)

    def rest(self) -> Iterator[ImageFile]:
        """Yield the inputs to be read."""
        return (self.files[number] for number in self.unfinished())


class Output(Protocol):
    """An output for the results of a list of inputs."""

    def survey(self, files: Sequence[ImageFile]) -> Progress:
        """Find the inputs that an earlier run has read and that have not changed since."""

    def outcomes(self, positions: Iterable[int]) -> Iterator[FileResult]:
        """Yield the results of an earlier run."""

    def write(self, outcome: FileResult, *, read: int | str, stamp: str) -> int:
        """Record the result of an input, by index or name; return its position."""

    def complete(self, positions: Sequence[int], facts: Metadata) -> None:
        """Complete the results in this order; ``facts`` go into the JSON beside them."""


class DirectOutput:
    """Standard output or a device: rows are written at once, without a journal."""

    def __init__(self, writer: ResultsWriter) -> None:
        self._writer = writer

    def survey(self, files: Sequence[ImageFile]) -> Progress:
        """Start with no rows."""
        return Progress(files=files)

    def outcomes(self, _: Iterable[int]) -> Iterator[FileResult]:
        """Yield nothing."""
        return iter(())

    def write(self, outcome: FileResult, **_: object) -> int:
        """Write the rows."""
        self._writer.write_lines(outcome.lines)
        self._writer.flush()
        return UNREAD

    def complete(self, positions: Sequence[int], facts: Metadata) -> None:
        """Do nothing, since all rows are written."""


class FileOutput:
    """A file of results, collected in a journal.

    Parameters
    ----------
    target : Path
        The file, not a link.
    identity : mapping
        The identity of the run.
    journal : Journal
        An open journal.
    force : bool
        Replace any file. Otherwise only a file that exists now, or was written by this output, is
        replaced.
    """

    def __init__(
        self, target: Path, identity: Metadata, journal: Journal, *, force: bool = False
    ) -> None:
        self._target = target
        self._identity = identity
        self._journal = journal
        self._force = force
        self._facts_file = sidecar_path(target, ".json")
        self._known = {version for version in (version_of(target), own_version(target)) if version}
        self._taken_over = journal.finished

    @property
    def readings(self) -> int:
        """Number of records in the journal, including superseded ones."""
        return self._journal.finished

    def survey(self, files: Sequence[ImageFile]) -> Progress:
        """Compare the last record of each input with its file as it is now."""
        progress = Progress(files=files)
        with self._translated():
            for number, stamp, position in self.entries():
                is_same = stamp == stamp_of(files[number].place)
                progress.positions[number] = position if is_same else CHANGED
        self._taken_over = progress.finished
        return progress

    def entries(self) -> Iterator[tuple[Any, str, int]]:
        """Yield the input, stamp and position of each record, in the order of reading."""
        with self._translated():
            for position, record in self._journal.records():
                yield record["read"], record["stamp"], position

    def outcomes(self, positions: Iterable[int]) -> Iterator[FileResult]:
        """Read results from the journal."""
        with self._translated():
            for record in self._journal.read(positions):
                yield FileResult.of(parse_rows(record["rows"]), record["failures"])

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (InputError, LookupError, TypeError) as error:
            message = (
                f"The journal of {self._target} has foreign contents ({error!r}). Start "
                "over with --force."
            )
            raise OutputError(message) from error

    def write(self, outcome: FileResult, *, read: int | str, stamp: str) -> int:
        """Append a result to the journal."""
        record = {"read": read, "stamp": stamp, "rows": outcome.lines, "failures": outcome.failures}
        return self._journal.append(record)

    def publish(self, positions: Sequence[int], facts: Metadata, *, in_place: bool = False) -> None:
        """Write the results from the journal, and their provenance beside them.

        They are rewritten, or with ``in_place`` updated if the format supports that.
        """
        with self._translated():
            stamps = self._update(positions) if in_place else None
            stamps = stamps or self._write_whole(positions)
        versions = {"sha256": stamps.hexdigest(), "superseded": self.readings - stamps.count}
        told = {**self._identity, **facts, "input_versions": versions, **self._circumstances()}
        text = json.dumps(told, indent=1).encode() + b"\n"
        write_whole(self._facts_file, text, force=self._force, known=self._known)

    def _write_whole(self, positions: Iterable[int]) -> "_Stamps":
        """Rewrite the results; return the stamps of the input files."""
        stamps = _Stamps()
        with open_results(str(self._target), force=self._force, known=self._known) as results:
            for text in self._lines(positions, stamps):
                results.write_lines(text)
        return stamps

    def _update(self, positions: Iterable[int]) -> "_Stamps | None":
        """Update the results in place; return the stamps of the input files.

        None if the file has to be rewritten.
        """
        stamps = _Stamps()
        if not update_results(self._target, self._lines(positions, stamps)):
            return None
        if found := version_of(self._target):
            self._known.add(found)
        return stamps

    def _lines(self, positions: Iterable[int], stamps: "_Stamps") -> Iterator[str]:
        """Yield the rows of records, and collect their stamps."""
        for record in self._journal.read(positions):
            stamps.add(record["stamp"])
            yield record["rows"]

    def _circumstances(self) -> dict[str, Any]:
        """Return when and where the results were made, and their digest."""
        return {
            "begun": self._journal.begun,
            "ended": datetime.now(UTC).isoformat(timespec="seconds"),
            "inputs_finished_before_the_last_resume": self._taken_over,
            "python": platform.python_version(),
            "system": platform.platform(),
            "results": {"file": to_cell(self._target.name), "sha256": _digest(self._target)},
        }

    def complete(self, positions: Sequence[int], facts: Metadata) -> None:
        """Write the results and remove the journal."""
        self.publish(positions, facts)
        self._journal.remove()


def read_rest(
    progress: Progress, settings: BatchSettings, output: Output, *, backend: Backend
) -> Generator[FileResult, None, None]:
    """Read the remaining inputs, and yield each result once the output has it."""
    with closing(read_stamped(progress.rest(), settings, backend=backend)) as outcomes:
        for number, (stamp, outcome) in zip(progress.unfinished(), outcomes, strict=True):
            progress.positions[number] = output.write(outcome, read=number, stamp=stamp)
            yield outcome


@contextmanager
def open_output(
    target: str,
    identity: Metadata,
    *,
    name: str | None = None,
    resume: bool = False,
    force: bool = False,
) -> Iterator[Output]:
    """Open an output for writing.

    Parameters
    ----------
    target : str
        A file, which appears when it is complete; or ``-`` for standard output. Devices and pipes
        are written directly, too.
    identity : mapping
        The identity of the run; see `identify`.
    name : str, optional
        Name of the format, if the target's name does not determine it.
    resume : bool
        Continue from the journal of an earlier run, if there is one.
    force : bool
        Start over and replace existing files.

    Yields
    ------
    Output
        The output. Unless it is completed, the journal stays.

    Raises
    ------
    OutputError
        If an existing file may not be replaced, the journal belongs to another run, or something
        cannot be written.
    BrokenPipeError
        If the reader of standard output has gone away.
    """
    path = Path(os.path.realpath(target))
    # Fail now rather than at the end.
    usable_format(target if target == STDOUT else str(path), name=name)
    if target == STDOUT or (path.exists() and not path.is_file()):
        with open_results(target, name=name) as writer:
            yield DirectOutput(writer)
        return
    journal = sidecar_path(path, ".journal")
    refuse_foreign_facts(path, force=force)
    refuse_existing(path, force=force or journal.exists())
    with open_journal(journal, identity, resume=resume, force=force) as opened:
        refuse_existing(path, force=force or bool(opened.finished))
        yield FileOutput(path, identity, opened, force=force)


def refuse_foreign_facts(target: Path, *, force: bool) -> None:
    """Refuse to replace a JSON file beside the results that is not about them.

    Raises
    ------
    OutputError
        If there is one, without ``force``.
    """
    refuse_existing(sidecar_path(target, ".json"), force=force or own_version(target) is not None)


def own_version(target: Path) -> Version | None:
    """Return the version of the JSON about these results, or about earlier ones with this name.

    None if there is no such file, or it is about something else.
    """
    path = sidecar_path(target, ".json")
    try:
        found = parse_json(read_plain(path))
        is_own = "zipocr" in found and found["results"]["file"] == to_cell(target.name)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return version_of(path) if is_own and not path.is_symlink() else None


def completed(
    target: str,
    identity: Metadata,
    files: Iterable[ImageFile],
) -> dict[str, int] | None:
    """Return the page counts of a file that this run has completed already.

    Parameters
    ----------
    target : str
        The CSV file.
    identity : mapping
        The identity of the run.
    files : iterable of ImageFile
        The inputs.

    Returns
    -------
    dict or None
        Number of pages by outcome if the file is complete, else None.

    Raises
    ------
    OutputError
        If it was completed by a run with another identity (the message says what differs), or
        inputs have been replaced since.
    """
    path = Path(os.path.realpath(target))
    if not path.is_file() or sidecar_path(path, ".journal").exists():
        return None
    try:
        found = parse_json(read_plain(sidecar_path(path, ".json")))
        changes = differences({key: found[key] for key in identity}, identity)
        counts, is_its = dict(found["counts"]), found["results"]["sha256"] == _digest(path)
        versions = found["input_versions"]["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if is_its and changes:
        message = (
            f"{target} is complete, and was made differently: {'; '.join(changes)}. "
            "Replace it with --force, or write to another file."
        )
        raise OutputError(message)
    if is_its and versions != stamps_digest(stamp for _, stamp in stamped(files)):
        changed = f"{target} is complete, and inputs have changed since they were read."
        message = f"{changed} Read everything again with --force, or write to another file."
        raise OutputError(message)
    return counts if is_its else None


def stamps_digest(stamps: Iterable[str]) -> str:
    """Return a digest of the versions of a list of inputs."""
    noted = _Stamps()
    for stamp in stamps:
        noted.add(stamp)
    return noted.hexdigest()


class _Stamps:
    """The number of stamps and their digest."""

    def __init__(self) -> None:
        self.count = 0
        self._digest = hashlib.sha256()

    def add(self, stamp: str) -> None:
        """Add a stamp."""
        self.count += 1
        self._digest.update(b"%s\0" % stamp.encode("utf-8", "surrogatepass"))

    def hexdigest(self) -> str:
        """Return the digest in hexadecimal."""
        return self._digest.hexdigest()


def _digest(path: Path) -> str:
    with open_plain(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def identify(
    command: str, settings: BatchSettings, limits: Metadata, inputs: Metadata
) -> dict[str, Any]:
    """Return the identity of a run: everything that its rows depend on.

    Parameters
    ----------
    command : str
        Name of the command.
    settings : BatchSettings
        Settings of the reading processes. The folder of debug pictures and the patience with S3 do
        not matter; of the model and the list of ZIP codes, the contents matter.
    limits : mapping
        Limits of the worker processes, which may cost a page.
    inputs : mapping
        The digest of the inputs.

    Returns
    -------
    dict
        JSON values.
    """
    apart = {"model", "directory", "debug", "patience"}
    options = {
        field.name: getattr(settings, field.name)
        for field in fields(settings)
        if field.name not in apart
    }
    plain = json.loads(json.dumps({**options, **limits}, default=str))
    process = identify_process(settings.model)
    return {
        "zipocr": process["zipocr"],
        "command": command,
        "model": process["model"],
        "directory": None if settings.directory is None else directory_digest(settings.directory),
        "options": plain,
        "inputs": dict(inputs),
        "libraries": process["libraries"],
    }


def identify_process(model: str) -> dict[str, Any]:
    """Return what rows depend on in a process; it must be equal in all processes of a run.

    Raises
    ------
    ModelError
        If there is no such model.
    """
    import cv2

    return {
        "zipocr": __version__,
        "model": {"sha256": model_digest(model)},
        "libraries": {
            "opencv": cv2.__version__,
            **{name: _version(name) for name in LIBRARIES},
            "blas_kernel": _blas_kernel(),
        },
    }


def describe_mismatch(model: str, wanted: Metadata) -> str:
    """Describe how this process differs from another's `identify_process`; empty if equal."""
    return "; ".join(differences(wanted, identify_process(model)))


def _blas_kernel() -> str | None:
    """Return the kernel that NumPy's linear algebra uses on this processor.

    Kernels differ in the order of summation. Other packages may have loaded their own libraries for
    linear algebra, with other kernels and in any order.
    """
    import numpy as np
    from threadpoolctl import threadpool_info

    home = Path(np.__file__).parent
    found = {
        Path(library["filepath"]): str(library["architecture"])
        for library in threadpool_info()
        if library.get("architecture")
    }
    # Wheels ship their libraries beside the package, or inside it.
    places = {home, home.with_name(f"{home.name}.libs")}
    own = {path: kernel for path, kernel in found.items() if places.intersection(path.parents)}
    return ", ".join(sorted({*(own or found).values()})) or None


def _version(library: str) -> str | None:
    """Return the version of a library; None if it is not installed."""
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def directory_digest(directory: Mapping[str, Place]) -> dict[str, object]:
    """Return a digest of a list of ZIP codes, independent of their order.

    Returns
    -------
    dict
        ``count`` and ``sha256``.
    """
    entries = sorted((listed, place.city, place.state) for listed, place in directory.items())
    return {
        "count": len(entries),
        "sha256": hashlib.sha256(json.dumps(entries).encode()).hexdigest(),
    }


def list_digest(files: Sequence[ImageFile]) -> dict[str, object]:
    """Return a digest of a list of inputs: their paths, names and order.

    Returns
    -------
    dict
        ``count`` and ``sha256``.
    """
    digest = hashlib.sha256()
    for file in files:
        place = os.path.abspath(os.fsencode(file.place))  # noqa: PTH100 - of bytes
        digest.update(b"%s\0%s\0" % (place, file.name.encode("utf-8", "surrogatepass")))
    return {"count": len(files), "sha256": digest.hexdigest()}
