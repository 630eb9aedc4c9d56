"""zipocr reads ZIP codes from scanned envelope crops."""

__version__ = "0.1.0"
