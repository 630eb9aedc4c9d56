"""Defaults, each in one place: the options of the commands read theirs from here."""

from dataclasses import dataclass
from pathlib import Path

BACKENDS = ("auto", "serial", "processes", "dask")
"""What can read."""

RESULT_FORMATS = ("csv", "jsonl", "parquet", "sqlite")
"""What results can be written as."""

MAX_PIXELS_LIMIT = 178_956_970
"""Where Pillow refuses to open an image at all; no crop comes near."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanConfig:
    """What ``zipocr scan`` can be told; every field is an option of that name.

    Attributes
    ----------
    output : str
        File to write the rows to, whose ending tells its format, or ``-`` for standard output.
    format : str or None
        Format of what is written to standard output; None stands for CSV.
    backend : str
        What reads: ``serial``, ``processes``, ``dask``, or ``auto`` for one of the first two. The
        rows do not depend on it.
    scheduler : str or None
        Address of the scheduler of a Dask cluster; None starts a cluster on this machine.
    manifest : Path or None
        File that lists what to read, instead of paths.
    out_dir : Path or None
        Folder for the parts that what a manifest lists is read into.
    shard_size : int
        How many inputs of a manifest make a part.
    jobs : int
        Processes that read; 0 stands for one per usable core. The rows do not depend on it.
    model : str
        Name of a shipped model or path of a model file.
    max_error : float
        Largest share of wrong ZIPs among those that count as read, above 0; the model knows the
        confidence it takes.
    min_confidence : float or None
        Confidence from which a ZIP counts as read; None leaves it to `max_error`.
    directory : Path or None
        The user's own list of ZIPs, which takes the place of the packaged directory.
    no_directory : bool
        Read without any directory of listed ZIP codes.
    require_listed : bool
        Count no ZIP as read that the directory does not list.
    debug : Path or None
        Folder for one debug picture per page.
    quiet : bool
        Say nothing on standard error but what ends the run.
    max_pixels : int
        Largest page, in pixels, that is decoded.
    resume : bool
        Go on with the journal of a run that did not end.
    force : bool
        Replace an output or journal that is there.
    timeout : float or None
        Seconds that a page may take; None takes the worker processes' own limit.
    max_memory_per_worker : int or None
        Bytes of memory that a worker process may take; None takes their own limit.
    patience : float or None
        Seconds that a file on S3 may take to come, with all attempts; None stands for 30, or half
        of `timeout` where that is less.
    verbose : int
        How much to say on standard error: 1 what happens, 2 every input.
    log_file : Path or None
        File to append JSON lines to about all that happens.
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
    """What ``zipocr watch`` can be told besides.

    Attributes
    ----------
    settle : float
        Seconds for which a file must not have changed before it is read.
    settle_limit : float
        The same for a file that lacks its end.
    poll : float
        Seconds after which a folder is listed even if nothing was heard of it.
    done : Path or None
        Folder of the folders that finished files are put into, by status.
    done_link : bool
        Link them instead of moving them.
    exec : str or None
        Program to run for each file, and its arguments, as a shell would part them.
    exec_timeout : float
        Seconds that it may take.
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
    """What ``zipocr review`` can be told; every field is an option of that name.

    Attributes
    ----------
    labels_out : Path
        File that decisions are added to.
    port : int
        Port of this machine to serve the page at; 0 takes one that is free.
    no_browser : bool
        Open no browser.
    audit : int
        How many pages that count as read to mix in.
    seed : int
        Seed of the chance that chooses them.
    images : Path or None
        Folder that the files of the results are in; None stands for where they were when they were
        read.
    model : str or None
        Name of a shipped model or path of a model file; None stands for the one that the results
        were read with.
    """

    labels_out: Path = Path("corrections.csv")
    port: int = 0
    no_browser: bool = False
    audit: int = 0
    seed: int = 0
    images: Path | None = None
    model: str | None = None
