"""Removal of specks and of cut-off neighbouring lines."""

from itertools import compress

import numpy as np

from zipocr.preprocess.components import ComponentBox, Components

# All lengths in digit heights.
SPECK = 0.07
MAX_COMPONENTS = 40  # components


def remove_specks(parts: Components, height: float) -> Components:
    """Drop components smaller than a full stop, and thin pieces of neighbours along an edge.

    Parameters
    ----------
    parts : Components
    height : float
        Digit height in pixels.

    Returns
    -------
    Components
    """
    keep = [not _is_speck(box, parts.ink.shape, height) for box in parts.listed]
    if sum(keep) > MAX_COMPONENTS:
        # Noise or a photograph: the digits are among the largest components, and this bounds the
        # cost.
        least = sorted(box.area for box in compress(parts.listed, keep))[-MAX_COMPONENTS]
        keep = [kept and box.area >= least for box, kept in zip(parts.listed, keep, strict=True)]
    return parts.take(np.array(keep, bool))


def _is_speck(box: ComponentBox, page: tuple[int, ...], height: float) -> bool:
    """Return whether a component is too small for writing, or a thin piece along an edge."""
    left, top, wide, tall, area = box
    if area < (SPECK * height) ** 2 or max(wide, tall) < SPECK * 1.5 * height:
        return True
    if tall < 0.35 * height and (top == 0 or box.bottom == page[0]):
        return True
    return (
        wide < 0.12 * height
        and (left == 0 or box.right == page[1])
        and not 0.5 * height < tall < 1.3 * height
    )
