"""The Python interface, with the guarantees of the command line.

A page that cannot be opened gives a reading with its reason, never an exception. Errors that
concern all pages (model, list of ZIP codes, output) raise a `ZipocrError`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from zipocr.batch.backend_choice import choose_local
from zipocr.batch.read_files import BatchSettings, confidence_threshold, read_files, start_reading
from zipocr.config import ScanConfig
from zipocr.drawing.debug_sheet import draw_sheet
from zipocr.evaluation.labels import group_by, match, read_labels, to_batch, to_cases
from zipocr.evaluation.metrics import Evaluation
from zipocr.evaluation.metrics import evaluate as _evaluate
from zipocr.images.listing import ImageFile, list_inputs
from zipocr.models.directory_file import read_directory
from zipocr.models.model_file import load_model
from zipocr.output.run import Output, completed, identify, list_digest, open_output, read_rest
from zipocr.preprocess.polarity import normalize_polarity
from zipocr.results.formats import read_results
from zipocr.results.row import Row as Reading
from zipocr.results.row import to_row
from zipocr.types import GrayImage, Place, Trace

__all__ = ["Reader", "Reading", "draw", "evaluate", "load_results", "read", "scan"]

_DEFAULTS = ScanConfig()


class Reader:
    """Reader of ZIP codes with one model, as in ``zipocr scan``.

    Parameters
    ----------
    model : str
        Name of a shipped model, ``mail`` or ``digits``, or the path of a model file.
    directory : path or mapping of str to Place, optional
        Your own list of ZIP codes instead of the packaged one.
    use_directory : bool
        Whether to use a directory.
    max_error : float
        Maximum error rate among accepted pages, 0 to 1; determines the confidence threshold.
    min_confidence : float, optional
        Confidence threshold, instead of `max_error`.
    require_listed : bool
        Whether to accept only ZIPs in the directory.
    max_pixels : int
        Larger pages are not opened.

    Raises
    ------
    ModelError
        If the model cannot be used, or cannot promise the error rate.
    InputError
        If the list of ZIP codes cannot be used.

    Notes
    -----
    Limits the numerical libraries of this process to one thread, so that a page has the same
    confidence everywhere. `read_files` uses several processes.
    """

    def __init__(
        self,
        model: str = _DEFAULTS.model,
        *,
        directory: str | Path | Mapping[str, Place] | None = None,
        use_directory: bool = True,
        max_error: float = _DEFAULTS.max_error,
        min_confidence: float | None = None,
        require_listed: bool = False,
        max_pixels: int = _DEFAULTS.max_pixels,
    ) -> None:
        self._settings = BatchSettings(
            model=model,
            max_error=max_error,
            min_confidence=min_confidence,
            use_directory=use_directory,
            directory=_listed(directory),
            max_pixels=max_pixels,
            debug=None,
            require_listed=require_listed,
        )
        self._files = start_reading(self._settings)

    def read(self, source: str | Path | GrayImage) -> list[Reading]:
        """Read an image: one reading per page.

        Parameters
        ----------
        source : path or (H, W) uint8
            A file, or one page, 0 black to 255 white.

        Returns
        -------
        list of Reading
            One or more; the name of an array is ``""``.
        """
        if isinstance(source, (str, Path)):
            return list(self._files(ImageFile(place=str(source), name=str(source))).rows)
        return self.read_many([source])

    def read_many(self, pages: Iterable[GrayImage]) -> list[Reading]:
        """Read pages together, (H, W) uint8 each, which is faster than one by one."""
        upright = [normalize_polarity(_checked(page)) for page in pages]
        return [
            to_row(
                "",
                1,
                reading,
                min_confidence=self._files.min_confidence,
                require_listed=self._files.require_listed,
            )
            for reading in self._files.reader.read_each(upright)
        ]

    def read_files(
        self, paths: Iterable[str | Path], *, jobs: int = 0, timeout: float | None = None
    ) -> Iterator[Reading]:
        """Read files and folders in several processes, as ``zipocr scan`` does.

        Parameters
        ----------
        paths : iterable of path
            Folders are searched for images.
        jobs : int
            Number of processes; 0 is one per core. A script needs the guard
            ``if __name__ == "__main__":``.
        timeout : float, optional
            Time limit per page in seconds; default: 60.

        Yields
        ------
        Reading
            One or more per file, in input order, with the values that ``zipocr scan`` writes.
        """
        files = list_inputs([Path(path) for path in paths]).files
        backend = choose_local(files, len(files), jobs=jobs, timeout=timeout)
        with closing(read_files(files, self._settings, backend=backend)) as results:
            for result in results:
                yield from result.rows

    def trace(self, page: GrayImage) -> Trace:
        """Read a page, (H, W) uint8, and return all intermediate results."""
        return self._files.reader.trace(normalize_polarity(_checked(page)))


def read(source: str | Path | GrayImage, *, model: str = _DEFAULTS.model) -> list[Reading]:
    """Read an image with a shipped model: one reading per page.

    `Reader` keeps its model loaded, and has all options.

    Parameters
    ----------
    source : path or (H, W) uint8
    model : str
        ``mail`` or ``digits``.

    Returns
    -------
    list of Reading
    """
    return Reader(model).read(source)


def scan(
    paths: Sequence[str | Path],
    output: str | Path,
    *,
    model: str = _DEFAULTS.model,
    directory: str | Path | None = None,
    max_error: float = _DEFAULTS.max_error,
    jobs: int = 0,
    resume: bool = False,
    force: bool = False,
) -> dict[str, int]:
    """Read files and folders into a file of results, as ``zipocr scan`` does.

    Parameters
    ----------
    paths : sequence of path
    output : path
        The file of results; its ending chooses the format. It appears when it is complete.
    model, directory, max_error
        As for `Reader`.
    jobs : int
        Number of processes; 0 is one per core.
    resume : bool
        Continue an interrupted run.
    force : bool
        Replace an existing output.

    Returns
    -------
    dict of str to int
        Number of pages that are ``read``, to ``review``, ``unread`` or ``failed`` to open.

    Raises
    ------
    ZipocrError
        If the model, the list of ZIP codes, the output or the workers cannot be used.
    """
    settings = BatchSettings(
        model=model,
        max_error=max_error,
        min_confidence=None,
        use_directory=True,
        directory=_listed(directory),
        max_pixels=_DEFAULTS.max_pixels,
        debug=None,
    )
    confidence_threshold(load_model(model), settings)
    files = list_inputs([Path(path) for path in paths]).files
    limits = {"timeout": None, "max_memory_per_worker": None}
    identity = identify("scan", settings, limits, list_digest(files))
    target = str(output)
    if resume and (done := completed(target, identity, files)) is not None:
        return done
    with open_output(target, identity, resume=resume, force=force) as results:
        return _read_into(results, files, settings, jobs)


def _read_into(
    results: Output, files: Sequence[ImageFile], settings: BatchSettings, jobs: int
) -> dict[str, int]:
    """Read the files that an output lacks, complete it, and count the pages by status."""
    counts: Counter[str] = Counter()
    progress = results.survey(files)
    for result in results.outcomes(progress.kept()):
        counts.update(result.counts)
    count = len(files) - progress.finished
    backend = choose_local(progress.rest(), count, jobs=jobs)
    with closing(read_rest(progress, settings, results, backend=backend)) as found:
        for result in found:
            counts.update(result.counts)
    results.complete(progress.positions, {"counts": dict(counts)})
    return dict(counts)


def load_results(path: str | Path) -> list[Reading]:
    """Read a file of results, in any format that ``zipocr scan`` writes.

    Raises
    ------
    InputError
        If it is not a results file, or damaged.
    """
    return list(read_results(Path(path)))


def evaluate(
    results: str | Path | Sequence[Reading],
    labels: str | Path,
    *,
    max_error: float = _DEFAULTS.max_error,
    by: str | None = None,
) -> Evaluation:
    """Compare results with labels.

    Parameters
    ----------
    results : path or sequence of Reading
    labels : path
        A CSV with the columns file and zip, or the corrections of a review.
    max_error : float
        Error rate to suggest a threshold for.
    by : str, optional
        Column of the labels to group by.

    Raises
    ------
    InputError
        If results and labels do not match.
    """
    rows = load_results(results) if isinstance(results, (str, Path)) else list(results)
    truths = read_labels(Path(labels))
    if by:
        group_by(truths, by)
    cases = to_cases(match(truths, rows), by=by)
    return _evaluate(cases, max_error=max_error, batch=to_batch(rows))


def draw(trace: Trace, *, title: str = "") -> np.typing.NDArray[np.uint8]:
    """Draw all steps of a reading on one sheet: (H, W, 3) uint8, BGR."""
    return draw_sheet(trace, title=title)


def _checked(page: GrayImage) -> GrayImage:
    if page.ndim != 2 or page.dtype != np.uint8 or not page.size:
        message = f"A page is an array (H, W) of uint8, not {page.shape} of {page.dtype}"
        raise ValueError(message)
    return np.ascontiguousarray(page)


def _listed(
    directory: str | Path | Mapping[str, Place] | None,
) -> Mapping[str, Place] | None:
    """Read a list of ZIP codes if it is a file."""
    if directory is None or isinstance(directory, Mapping):
        return directory
    return read_directory(Path(directory))
