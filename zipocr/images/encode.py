"""Encoding of pictures as PNG and WebP."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from zipocr.errors import OutputError
from zipocr.storage.atomic import write_whole


def write_png(path: Path, image: NDArray[np.uint8]) -> None:
    """Write a picture as PNG, atomically, creating its folder if needed.

    Parameters
    ----------
    path : Path
        Target; any name that the file system allows.
    image : ndarray
        ``(H, W)`` gray or ``(H, W, 3)`` BGR, uint8.

    Raises
    ------
    OutputError
        If the picture cannot be encoded or the file cannot be written.
    """
    encoded = encode_png(image)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"Cannot make the folder {path.parent}: {error.strerror}. Choose another place."
        raise OutputError(message) from error
    write_whole(path, encoded)


def encode_png(image: NDArray[np.uint8]) -> bytes:
    """Encode a picture as PNG: ``(H, W)`` gray or ``(H, W, 3)`` BGR, uint8.

    Raises
    ------
    OutputError
        If the picture cannot be encoded.
    """
    return _encode(".png", image)


def encode_webp(image: NDArray[np.uint8]) -> bytes:
    """Encode a picture as lossless WebP: ``(H, W)`` gray or ``(H, W, 3)`` BGR, uint8.

    Raises
    ------
    OutputError
        If the picture cannot be encoded.
    """
    return _encode(".webp", image, cv2.IMWRITE_WEBP_QUALITY, 101)


def _encode(ending: str, image: NDArray[np.uint8], *options: int) -> bytes:
    done, encoded = cv2.imencode(ending, image, options)
    if not done:
        kind = {".png": "PNG", ".webp": "WebP"}[ending]
        message = f"Cannot encode a picture of shape {image.shape} as {kind}."
        raise OutputError(message)
    return encoded.tobytes()
