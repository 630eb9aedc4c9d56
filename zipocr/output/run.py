"""Outputs of a run: a file that appears whole, with a journal, or standard output.

While a run goes on ``results.csv.journal`` stands there; from its end on ``results.csv`` and
``results.csv.json``, which says what made it.

The journal keeps with the rows of each input the stamp that its file had before it was read. Where
the file has been replaced since, its rows are superseded by those of the new one.
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
"""Besides OpenCV, the libraries that rows depend on; the last two need not be installed."""

Metadata = Mapping[str, Any]


UNREAD, CHANGED = -1, -2


@dataclass(slots=True, kw_only=True, eq=False)
class Progress:
    """How far a list of inputs is read.

    Attributes
    ----------
    files : sequence of ImageFile
        The inputs.
    positions : array of int
        Where the journal has the rows of each input, in eight bytes: there may be very many. It is
        `UNREAD` where it has none, `CHANGED` where the file has been replaced since.
    """

    files: Sequence[ImageFile]
    positions: "array[int]" = field(init=False)

    def __post_init__(self) -> None:
        """Begin with nothing."""
        self.positions = array("q", [UNREAD]) * len(self.files)

    @property
    def changed(self) -> int:
        """How many inputs are to be read again."""
        return self.positions.count(CHANGED)

    @property
    def finished(self) -> int:
        """How many inputs need not be read."""
        return sum(1 for _ in self.kept())

    def kept(self) -> Iterator[int]:
        """Give the positions of the inputs that need not be read, in the order of the inputs."""
        return (position for position in self.positions if position >= 0)

    def unfinished(self) -> Iterator[int]:
        """Give the numbers of the inputs that are to be read."""
        return (number for number, position in enumerate(self.positions) if position < 0)

    def rest(self) -> Iterator[ImageFile]:
        """Give the inputs that are to be read."""
        return (self.files[number] for number in self.unfinished())


class Output(Protocol):
    """What takes outcomes of a list of inputs."""

    def survey(self, files: Sequence[ImageFile]) -> Progress:
        """Find out which of them an earlier run has read, and as they still are."""

    def outcomes(self, positions: Iterable[int]) -> Iterator[FileResult]:
        """Give what an earlier run has read."""

    def write(self, outcome: FileResult, *, read: int | str, stamp: str) -> int:
        """Take the outcome of an input, by its number or name, and give its position."""

    def complete(self, positions: Sequence[int], facts: Metadata) -> None:
        """Make the results whole, in this order; ``facts`` go into the JSON beside them."""


class DirectOutput:
    """Standard output, or a device: rows appear at once, and nothing is kept."""

    def __init__(self, writer: ResultsWriter) -> None:
        self._writer = writer

    def survey(self, files: Sequence[ImageFile]) -> Progress:
        """Begin with nothing."""
        return Progress(files=files)

    def outcomes(self, _: Iterable[int]) -> Iterator[FileResult]:
        """Give nothing."""
        return iter(())

    def write(self, outcome: FileResult, **_: object) -> int:
        """Write the rows."""
        self._writer.write_lines(outcome.lines)
        self._writer.flush()
        return UNREAD

    def complete(self, positions: Sequence[int], facts: Metadata) -> None:
        """Do nothing: all rows are out."""


class FileOutput:
    """A file of results, gathered in a journal.

    Parameters
    ----------
    target : Path
        The file, no link.
    identity : mapping
        What the run is.
    journal : Journal
        Open.
    force : bool
        Replace whatever comes to be there. Otherwise only what is there now, or was written by this
        very output, is replaced.
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
        """How many records the journal holds, those that are superseded among them."""
        return self._journal.finished

    def survey(self, files: Sequence[ImageFile]) -> Progress:
        """Compare what was read with the files as they are now; the last record of each counts."""
        progress = Progress(files=files)
        with self._translated():
            for number, stamp, position in self.entries():
                is_same = stamp == stamp_of(files[number].place)
                progress.positions[number] = position if is_same else CHANGED
        self._taken_over = progress.finished
        return progress

    def entries(self) -> Iterator[tuple[Any, str, int]]:
        """Give the input, the stamp and the position of each record, in the order of reading."""
        with self._translated():
            for position, record in self._journal.records():
                yield record["read"], record["stamp"], position

    def outcomes(self, positions: Iterable[int]) -> Iterator[FileResult]:
        """Read outcomes back from the journal."""
        with self._translated():
            for record in self._journal.read(positions):
                yield FileResult.of(parse_rows(record["rows"]), record["failures"])

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (InputError, LookupError, TypeError) as error:
            message = (
                f"The journal of {self._target} holds what zipocr did not write ({error!r}). Start "
                "anew with --force."
            )
            raise OutputError(message) from error

    def write(self, outcome: FileResult, *, read: int | str, stamp: str) -> int:
        """Keep an outcome in the journal."""
        record = {"read": read, "stamp": stamp, "rows": outcome.lines, "failures": outcome.failures}
        return self._journal.append(record)

    def publish(self, positions: Sequence[int], facts: Metadata, *, in_place: bool = False) -> None:
        """Write the results from records of the journal, and what made them beside them.

        They are written whole, or, ``in_place``, brought up to date if their format can do that.
        """
        with self._translated():
            stamps = self._update(positions) if in_place else None
            stamps = stamps or self._write_whole(positions)
        versions = {"sha256": stamps.hexdigest(), "superseded": self.readings - stamps.count}
        told = {**self._identity, **facts, "input_versions": versions, **self._circumstances()}
        text = json.dumps(told, indent=1).encode() + b"\n"
        write_whole(self._facts_file, text, force=self._force, known=self._known)

    def _write_whole(self, positions: Iterable[int]) -> "_Stamps":
        """Write the results anew, and give the stamps of their files."""
        stamps = _Stamps()
        with open_results(str(self._target), force=self._force, known=self._known) as results:
            for text in self._lines(positions, stamps):
                results.write_lines(text)
        return stamps

    def _update(self, positions: Iterable[int]) -> "_Stamps | None":
        """Bring the results up to date, and give the stamps of their files.

        None where the file has to be written anew.
        """
        stamps = _Stamps()
        if not update_results(self._target, self._lines(positions, stamps)):
            return None
        if found := version_of(self._target):
            self._known.add(found)
        return stamps

    def _lines(self, positions: Iterable[int], stamps: "_Stamps") -> Iterator[str]:
        """Give the rows of records, and note the stamp of each."""
        for record in self._journal.read(positions):
            stamps.add(record["stamp"])
            yield record["rows"]

    def _circumstances(self) -> dict[str, Any]:
        """Say when and where the results were made, and of what bytes they are."""
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
    """Read the inputs that are left, and hand each outcome on when the output has it."""
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
        are written directly as well.
    identity : mapping
        What the run is; see `identify`.
    name : str, optional
        Name of the format, where the target does not tell it.
    resume : bool
        Go on with the journal of an earlier run, if there is one.
    force : bool
        Start anew and replace what is there.

    Yields
    ------
    Output
        What takes the outcomes. If it is not completed the journal stays.

    Raises
    ------
    OutputError
        If there is something that may not be replaced, the journal is of another run, or something
        cannot be written.
    BrokenPipeError
        If whoever reads standard output has left.
    """
    path = Path(os.path.realpath(target))
    # What could only fail at the end is refused now.
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
    """Refuse to replace a file that has the name of what tells of results, and tells of others.

    Raises
    ------
    OutputError
        If there is one, and no ``force``.
    """
    refuse_existing(sidecar_path(target, ".json"), force=force or own_version(target) is not None)


def own_version(target: Path) -> Version | None:
    """Tell which file says what made these results, or results of this name before.

    None if there is no such file, or if it says something else.
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
    """Tell whether a file was completed by this very run.

    Parameters
    ----------
    target : str
        The CSV file.
    identity : mapping
        What the run is.
    files : iterable of ImageFile
        What it reads.

    Returns
    -------
    dict or None
        How many pages came out how, if the file is complete; otherwise None.

    Raises
    ------
    OutputError
        If it was completed by a run with another identity; the message says what differs. If
        inputs were replaced since.
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
            f"{target} is complete, and was made otherwise: {'; '.join(changes)}. Replace it with "
            "--force, or write to another file."
        )
        raise OutputError(message)
    if is_its and versions != stamps_digest(stamp for _, stamp in stamped(files)):
        changed = f"{target} is complete, and inputs have changed since they were read."
        message = f"{changed} Read all anew with --force, or write to another file."
        raise OutputError(message)
    return counts if is_its else None


def stamps_digest(stamps: Iterable[str]) -> str:
    """Tell the versions of a list of inputs from any others."""
    noted = _Stamps()
    for stamp in stamps:
        noted.add(stamp)
    return noted.hexdigest()


class _Stamps:
    """Number of stamps, and a digest of them."""

    def __init__(self) -> None:
        self.count = 0
        self._digest = hashlib.sha256()

    def add(self, stamp: str) -> None:
        """Note a stamp."""
        self.count += 1
        self._digest.update(b"%s\0" % stamp.encode("utf-8", "surrogatepass"))

    def hexdigest(self) -> str:
        """Tell them from any others."""
        return self._digest.hexdigest()


def _digest(path: Path) -> str:
    with open_plain(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def identify(
    command: str, settings: BatchSettings, limits: Metadata, inputs: Metadata
) -> dict[str, Any]:
    """Say what a run is: everything its rows depend on.

    Parameters
    ----------
    command : str
        What reads.
    settings : BatchSettings
        What to read with. Where debug pictures go and how long S3 is waited for decides no row; of
        the model and of a list of ZIPs counts what is in it.
    limits : mapping
        Options of the worker processes that may cost a page its reading.
    inputs : mapping
        What is read.

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
    """Say what rows depend on in a process that reads: it has to be the same in all of a run.

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


def strangeness(model: str, wanted: Metadata) -> str:
    """Say how this process differs from what `identify_process` gave in another; nothing if not."""
    return "; ".join(differences(wanted, identify_process(model)))


def _blas_kernel() -> str | None:
    """Name what NumPy's linear algebra has chosen for this processor.

    Others add in other orders.
    """
    import numpy as _  # noqa: F401 - only what is loaded is found
    from threadpoolctl import threadpool_info

    kernels = (library.get("architecture") for library in threadpool_info())
    return next(filter(None, kernels), None)


def _version(library: str) -> str | None:
    """Version of a library; None where it is not installed."""
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def directory_digest(directory: Mapping[str, Place]) -> dict[str, object]:
    """Tell a list of ZIPs from any other, by what it lists, in whatever order.

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
    """Tell a list of inputs from any other, by their places, names and order.

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
