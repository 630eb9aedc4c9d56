"""Defaults of all options."""

from dataclasses import dataclass
from pathlib import Path

BACKENDS = ("auto", "serial", "processes", "dask")
"""Names of the backends."""

RESULT_FORMATS = ("csv", "jsonl", "parquet", "sqlite")
"""Names of the formats of results."""

MAX_PIXELS_LIMIT = 178_956_970
"""Pillow's limit, far above any crop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanConfig:
    """The options of ``zipocr scan``; every field is an option of the same name.

    Attributes
    ----------
    output : str
        Output file, whose ending chooses the format, or ``-`` for standard output.
    format : str or None
        Format on standard output; None is CSV.
    backend : str
        ``serial``, ``processes``, ``dask``, or ``auto`` for one of the first two. Does not affect
        the rows.
    scheduler : str or None
        Address of the scheduler of a Dask cluster; None starts a cluster on this machine.
    manifest : Path or None
        File that lists the inputs, instead of paths.
    out_dir : Path or None
        Folder for the parts of a manifest.
    shard_size : int
        Number of inputs per part.
    jobs : int
        Number of processes; 0 is one per usable core. Does not affect the rows.
    model : str
        Name of a shipped model or path of a model file.
    max_error : float
        Maximum error rate among pages that count as read, above 0; determines the threshold.
    min_confidence : float or None
        Confidence threshold; None leaves it to `max_error`.
    directory : Path or None
        The user's own list of ZIP codes instead of the packaged directory.
    no_directory : bool
        Read without a directory of ZIP codes.
    require_listed : bool
        Send every ZIP that is not in the directory to review.
    debug : Path or None
        Folder for debug pictures, one per page.
    quiet : bool
        Print nothing on standard error but errors.
    max_pixels : int
        Maximum number of pixels of a page.
    resume : bool
        Continue from the journal of an interrupted run.
    force : bool
        Replace an existing output or journal.
    timeout : float or None
        Time limit per page in seconds; None takes the default of the worker processes.
    max_memory_per_worker : int or None
        Memory limit of a worker process in bytes; None takes the default.
    patience : float or None
        Seconds to wait for a file on S3, with all retries; None is 30, or half of `timeout` if that
        is less.
    verbose : int
        Verbosity on standard error: 1 progress, 2 every input.
    log_file : Path or None
        File to append the log to, as JSON lines.
    """

    output: str = "-"
    format: str | None = None
    backend: str = "auto"
    scheduler: str | None = None
    manifest: Path | None = None
    out_dir: Path | None = None
    shard_size: int = 10_000
    jobs: int = 0
    model: str = "mail"
    max_error: float = 0.01
    min_confidence: float | None = None
    directory: Path | None = None
    no_directory: bool = False
    require_listed: bool = False
    debug: Path | None = None
    quiet: bool = False
    max_pixels: int = 50_000_000
    resume: bool = False
    force: bool = False
    timeout: float | None = None
    max_memory_per_worker: int | None = None
    patience: float | None = None
    verbose: int = 0
    log_file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchConfig:
    """The additional options of ``zipocr watch``.

    Attributes
    ----------
    settle : float
        Seconds for which a file must stay unchanged before it is read.
    settle_limit : float
        The same for an incomplete file.
    poll : float
        Seconds after which the folder is listed even without a notification.
    done : Path or None
        Folder whose subfolders, named by status, finished files are moved to.
    done_link : bool
        Link files instead of moving them.
    exec : str or None
        Program to run for each file, with arguments, in shell syntax.
    exec_timeout : float
        Time limit of the program in seconds.
    """

    settle: float = 2.0
    settle_limit: float = 60.0
    poll: float = 10.0
    done: Path | None = None
    done_link: bool = False
    exec: str | None = None
    exec_timeout: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewConfig:
    """The options of ``zipocr review``; every field is an option of the same name.

    Attributes
    ----------
    labels_out : Path
        File to append decisions to.
    port : int
        Port on this machine; 0 takes any free one.
    no_browser : bool
        Do not open a browser.
    audit : int
        Number of accepted pages to mix in.
    seed : int
        Random seed of the audit.
    images : Path or None
        Folder of the scanned files; None is where they were scanned.
    model : str or None
        Name of a shipped model or path of a model file; None is the model of the results.
    """

    labels_out: Path = Path("corrections.csv")
    port: int = 0
    no_browser: bool = False
    audit: int = 0
    seed: int = 0
    images: Path | None = None
    model: str | None = None
