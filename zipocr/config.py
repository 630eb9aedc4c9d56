"""Defaults, each in one place: the options of the commands read theirs from here."""

from dataclasses import dataclass
from pathlib import Path

LARGEST_MAX_PIXELS = 178_956_970
"""Where Pillow refuses to open an image at all; no crop comes near."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanConfig:
    """What ``zipocr scan`` can be told; every field is an option of that name.

    Attributes
    ----------
    output : str
        File to write the rows to, or ``-`` for standard output.
    jobs : int
        Processes that read; 0 stands for one per usable core. The rows do not depend on it.
    model : str
        Name of a shipped model or path of a model file.
    max_error : float
        Largest share of wrong ZIPs among those that count as read, above 0; the model knows the confidence it takes.
    min_confidence : float or None
        Confidence from which a ZIP counts as read; None leaves it to `max_error`.
    directory : Path or None
        The user's own list of ZIPs, which takes the place of the packaged directory.
    no_directory : bool
        Read without any directory of listed ZIP codes.
    debug : Path or None
        Folder for one debug picture per page.
    quiet : bool
        Say nothing on standard error but what ends the run.
    max_pixels : int
        Largest page, in pixels, that is decoded.
    """

    output: str = "-"
    jobs: int = 0
    model: str = "mail"
    max_error: float = 0.01
    min_confidence: float | None = None
    directory: Path | None = None
    no_directory: bool = False
    debug: Path | None = None
    quiet: bool = False
    max_pixels: int = 50_000_000
