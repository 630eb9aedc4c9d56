"""Where outcomes go: through a journal into a CSV file that appears whole, or straight to standard output.

While a run goes on ``results.csv.journal`` stands there; from its end on ``results.csv`` and ``results.csv.json``, which says what made it.
"""

import hashlib
import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

from zipocr import __version__
from zipocr.atomic import write_whole
from zipocr.batch import BatchSettings, Outcome
from zipocr.errors import InputError, OutputError
from zipocr.images import ImageFile
from zipocr.journal import Journal, differences, open_journal
from zipocr.model_file import model_digest
from zipocr.results import STDOUT, ResultsWriter, open_results, parse_rows
from zipocr.types import Place

LIBRARIES = ("numpy", "scipy", "Pillow", "pillow-heif", "pypdfium2")
"""Besides OpenCV, the libraries that rows depend on; the last two need not be installed."""

Facts = Mapping[str, Any]


class Output(Protocol):
    """What takes outcomes; ``finished`` says how many inputs of an earlier run it has already."""

    @property
    def finished(self) -> int:
        """How many inputs are finished."""

    def replay(self) -> Iterator[Outcome]:
        """Give the outcomes of the finished inputs."""

    def write(self, outcome: Outcome, **marks: object) -> None:
        """Take the next outcome; ``marks`` are JSON values to be kept with it."""

    def complete(self, facts: Facts) -> None:
        """Make the results whole; ``facts`` go into the JSON beside them."""


class DirectOutput:
    """Standard output, or a device: rows appear at once, and nothing is kept."""

    finished = 0

    def __init__(self, writer: ResultsWriter) -> None:
        self._writer = writer

    def replay(self) -> Iterator[Outcome]:
        """Give nothing."""
        return iter(())

    def write(self, outcome: Outcome, **_: object) -> None:
        """Write the rows."""
        self._writer.write_lines(outcome.lines)
        self._writer.flush()

    def complete(self, facts: Facts) -> None:
        """Do nothing: all rows are out."""


class FileOutput:
    """A CSV file, gathered in a journal.

    Parameters
    ----------
    target : Path
        The file, no link.
    identity : mapping
        What the run is.
    journal : Journal
        Open.
    """

    def __init__(self, target: Path, identity: Facts, journal: Journal) -> None:
        self._target = target
        self._identity = identity
        self._journal = journal
        self._taken_over = journal.finished

    @property
    def finished(self) -> int:
        """How many inputs the journal holds."""
        return self._journal.finished

    def replay(self) -> Iterator[Outcome]:
        """Read the outcomes back from the journal."""
        with self._translated():
            for record in self._journal.records():
                yield Outcome.of(parse_rows(record["rows"]), record["failures"])

    def marks(self, name: str) -> Iterator[Any]:
        """Read what was kept under a name with each outcome."""
        with self._translated():
            for record in self._journal.records():
                yield record[name]

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (InputError, KeyError, TypeError) as error:
            message = f"The journal of {self._target} holds what zipocr did not write ({error!r}). Start anew with --force."
            raise OutputError(message) from error

    def write(self, outcome: Outcome, **marks: object) -> None:
        """Keep an outcome in the journal."""
        self._journal.append({"rows": outcome.lines, "failures": outcome.failures, **marks})

    def publish(self, facts: Facts) -> None:
        """Write the CSV, whole, from all that is in the journal, and what made it beside it."""
        with self._translated(), open_results(str(self._target)) as results:
            for record in self._journal.records():
                results.write_lines(record["rows"])
        provenance = {
            **self._identity,
            **facts,
            "begun": self._journal.begun,
            "ended": datetime.now(UTC).isoformat(timespec="seconds"),
            "inputs_finished_before_the_last_resume": self._taken_over,
            "python": platform.python_version(),
            "system": platform.platform(),
            "results": {"file": os.fsencode(self._target.name).decode(errors="backslashreplace"), "sha256": _digest(self._target)},
        }
        write_whole(beside(self._target, ".json"), json.dumps(provenance, indent=1).encode() + b"\n")

    def complete(self, facts: Facts) -> None:
        """Write the CSV and remove the journal."""
        self.publish(facts)
        self._journal.remove()


@contextmanager
def open_output(target: str, identity: Facts, *, resume: bool = False, force: bool = False) -> Iterator[Output]:
    """Open an output for writing.

    Parameters
    ----------
    target : str
        A file, which appears when it is complete; or ``-`` for standard output. Devices and pipes are written directly as well.
    identity : mapping
        What the run is; see `identify`.
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
        If there is something that may not be replaced, the journal is of another run, or something cannot be written.
    BrokenPipeError
        If whoever reads standard output has left.
    """
    path = Path(os.path.realpath(target))
    if target == STDOUT or (path.exists() and not path.is_file()):
        with open_results(target) as writer:
            yield DirectOutput(writer)
        return
    journal = beside(path, ".journal")
    if path.exists() and not (force or journal.exists()):
        message = f"{target} is there already. Replace it with --force, or write to another file."
        raise OutputError(message)
    with open_journal(journal, identity, resume=resume, force=force) as opened:
        if path.exists() and not (force or opened.finished):
            message = f"{target} is there already. Replace it with --force, or write to another file."
            raise OutputError(message)
        yield FileOutput(path, identity, opened)


def beside(path: Path, suffix: str) -> Path:
    """Name a companion of the results."""
    return path.with_name(path.name + suffix)


def completed(target: str, identity: Facts) -> dict[str, int] | None:
    """Tell whether a file was completed by this very run.

    Parameters
    ----------
    target : str
        The CSV file.
    identity : mapping
        What the run is.

    Returns
    -------
    dict or None
        How many pages came out how, if the file is complete; otherwise None.

    Raises
    ------
    OutputError
        If it was completed by a run with another identity; the message says what differs.
    """
    path = Path(os.path.realpath(target))
    if not path.is_file() or beside(path, ".journal").exists():
        return None
    try:
        found = json.loads(beside(path, ".json").read_bytes())
        changes = differences({key: found[key] for key in identity}, identity)
        counts, is_its = dict(found["counts"]), found["results"]["sha256"] == _digest(path)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if is_its and changes:
        message = f"{target} is complete, and was made otherwise: {'; '.join(changes)}. Replace it with --force, or write to another file."
        raise OutputError(message)
    return counts if is_its else None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def identify(command: str, settings: BatchSettings, limits: Facts, inputs: Facts) -> dict[str, Any]:
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
    options = {field.name: getattr(settings, field.name) for field in fields(settings) if field.name not in apart}
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


def strangeness(model: str, wanted: Facts) -> str:
    """Say how this process differs from what `identify_process` gave in another; nothing if not."""
    return "; ".join(differences(wanted, identify_process(model)))


def _blas_kernel() -> str | None:
    """Name what NumPy's linear algebra has chosen for this processor; others add in other orders."""
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
    return {"count": len(entries), "sha256": hashlib.sha256(json.dumps(entries).encode()).hexdigest()}


def list_digest(files: Sequence[ImageFile]) -> dict[str, object]:
    """Tell a list of inputs from any other, by their places, names and order.

    Returns
    -------
    dict
        ``count`` and ``sha256``.
    """
    digest = hashlib.sha256()
    for file in files:
        digest.update(b"%s\0%s\0" % (os.path.abspath(os.fsencode(file.place)), file.name.encode("utf-8", "surrogatepass")))  # noqa: PTH100 - of bytes
    return {"count": len(files), "sha256": digest.hexdigest()}
