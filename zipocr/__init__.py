"""Read ZIP codes from scanned envelopes and crops.

`read` reads a file or a page, `Reader` reads many, `scan` writes a file of results. Names are
imported on first use.
"""

from importlib import import_module

__version__ = "0.1.0"

_HOMES = {
    "Place": "zipocr.types",
    "Reader": "zipocr.api",
    "Reading": "zipocr.api",
    "Reason": "zipocr.types",
    "Status": "zipocr.types",
    "Trace": "zipocr.types",
    "ZipocrError": "zipocr.errors",
    "draw": "zipocr.api",
    "evaluate": "zipocr.api",
    "load_results": "zipocr.api",
    "read": "zipocr.api",
    "scan": "zipocr.api",
}
__all__ = [*sorted(_HOMES), "__version__"]  # noqa: PLE0604 - all are strings


def __getattr__(name: str) -> object:
    """Import a public name (PEP 562)."""
    if name not in _HOMES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    found: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """List the public names."""
    return list(__all__)
