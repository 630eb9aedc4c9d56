"""Lattices put together by hand."""

import numpy as np

from zipocr.segment.lattice import GEOMETRY
from zipocr.types import Box, Lattice, Region

HEIGHT = 20


def region(start: int, end: int, height: int = HEIGHT) -> Region:
    """Ink between two cuts: squares side by side."""
    box = Box(top=HEIGHT - height, left=start * HEIGHT, bottom=HEIGHT, right=end * HEIGHT)
    return Region(box=box, ink=np.ones((box.height, box.width), bool))


def lattice_of(edges: list[tuple[int, int]], skips: list[tuple[int, int, float]], cuts: int) -> Lattice:
    """A lattice of such regions between cuts, and of skips with their prices; nothing is known of shapes."""
    return Lattice(
        cut_count=cuts,
        starts=np.array([start for start, _ in edges], np.intp),
        ends=np.array([end for _, end in edges], np.intp),
        regions=tuple(region(start, end) for start, end in edges),
        geometry=np.zeros((len(edges), GEOMETRY), np.float32),
        prices=np.zeros(len(edges)),
        skips=np.array(skips, np.float64).reshape(-1, 3),
    )
