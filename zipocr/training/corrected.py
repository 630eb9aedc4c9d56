"""Reads pages whose ZIP a person knows, and collects what their regions turn out to be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zipocr.classify.svc import NON_DIGIT
from zipocr.corrections import Decision
from zipocr.decode.strings import Candidate, spell
from zipocr.errors import InputError
from zipocr.images import read_pages
from zipocr.pooling import View
from zipocr.prepare import Segmentation
from zipocr.reader import glance_each
from zipocr.sources import inside
from zipocr.training.gather import Samples, join, map_strings
from zipocr.training.measure import MAX_PIXELS, Crop, Judges, Truth
from zipocr.training.metrics import Answer
from zipocr.training.truth import NO_DIGIT, label_regions
from zipocr.types import PLUS4_LENGTH, ZIP_LENGTH, Floats, Unread

FOREIGN = 255
# However sure a model is that a region shows another digit: to find where the known one stands, that counts so many nats at most.
MOST_DISBELIEF = 4.0
# A page whose known digits lie further than so many nats each from what digits look like teaches nothing: it was cut wrong, or mistyped.
PLAUSIBLE = 3.0
# Of each page: at most this many regions that are no digits, those that look most like one first.
NON_DIGITS = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lesson:
    """What a corrected page taught: how a model read it with a directory and without, and its regions, None where they are uncertain.

    ``features`` is what the last layer of its network saw of the line, (T, F); None where there is none. ``text`` stands on the page.
    """

    answers: tuple[Answer, Answer]
    samples: Samples | None
    features: Floats | None
    text: str


def to_crops(corrections: Mapping[tuple[str, int], Decision], folder: Path) -> list[Crop]:
    """Give the pages that were found to bear a ZIP, by file and page.

    ``kind`` is the file, whose pages are likely of one hand.

    Raises
    ------
    InputError
        If a name, or a link on its way, leads out of the folder.
    """
    return [
        Crop(
            path=_within(folder, file),
            page=page,
            truth=Truth(zip=decision.zip[:ZIP_LENGTH], plus4=decision.zip[-PLUS4_LENGTH:] if "-" in decision.zip else "", kind=file),
        )
        for (file, page), decision in sorted(corrections.items())
        if decision.zip
    ]


def _within(folder: Path, file: str) -> Path:
    path = inside(folder, file)
    if path is None:
        cure = "Give the folder that was scanned, with the files themselves and no links to others."
        raise InputError(f"{file} leads out of {folder}. {cure}")
    return path


def study(judging: Judges, crops: Sequence[Crop], *, jobs: int) -> list[Lesson | None]:
    """Reads pages and aligns what they bear with their regions, in their order; None for a page that cannot be opened."""
    return map_strings(_Study(judging=judging, crops=crops), range(len(crops)), jobs=jobs)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Study:
    """Studies one of the crops."""

    judging: Judges
    crops: Sequence[Crop]

    def __call__(self, number: int) -> Lesson | None:
        crop = self.crops[number]
        pages = read_pages(crop.path, max_pixels=MAX_PIXELS, first=crop.page)
        page = next(pages, None)
        if page is None or isinstance(page, Unread):
            return None
        with_it, without = self.judging
        opened, glances = glance_each([judge.reader for judge in self.judging], with_it.reader.open(page))
        views = with_it.reader.look(opened)
        listed, unlisted = (views if glance is None else [glance] for glance in glances)
        answers = with_it.answer(listed, crop.truth), without.answer(unlisted, crop.truth)
        text = crop.truth.zip + (crop.truth.plus4 or "")
        return Lesson(answers=answers, samples=to_samples(views, text), features=opened.line.features if opened.line else None, text=text)


def to_samples(views: Sequence[View], text: str) -> Samples | None:
    """Takes the digits of a known ZIP, and what lies across them, from the view that shows them best; None where none does plausibly.

    Parameters
    ----------
    views : sequence of View
    text : str
        Five digits or nine.

    Returns
    -------
    Samples or None
        A region for each digit, and at most `NON_DIGITS` that are none.
    """
    found = [(view, one) for view in views if (one := _aligned(view, text)) is not None]
    if not found:
        return None
    view, best = max(found, key=lambda pair: pair[1].score)
    if best.score - best.prior < -PLAUSIBLE * len(text):
        return None
    return join([_take(view, best.edges, [int(digit) for digit in text]), _across(view, best)])


def _aligned(view: View, text: str) -> Candidate | None:
    """Where a view shows the digits; the model knows well where digits stand, but that it misreads them is why it is taught."""
    if not len(view.gains):
        return None
    top = view.gains.max(axis=1, keepdims=True)
    return spell(view.seen.lattice, top + np.maximum(view.gains - top, -MOST_DISBELIEF), text)


def _across(view: View, best: Candidate) -> Samples:
    """Regions that are pieces of the digits or more than one, the likeliest to be mistaken for a digit first."""
    places = label_regions(view.seen, _owners(view.seen, best))
    none = np.flatnonzero(places == NO_DIGIT)
    chosen = none[np.argsort(-_validity(view)[none], kind="stable")[:NON_DIGITS]]
    return _take(view, chosen.tolist(), [NON_DIGIT] * len(chosen))


def _validity(view: View) -> Floats:
    """How much a view's regions look like digits, whichever: (E,) nats, ink left out not counted."""
    likely: Floats = np.logaddexp.reduce(view.gains, axis=1) + view.seen.lattice.prices.astype(np.float32)
    return likely


def _owners(seen: Segmentation, best: Candidate) -> NDArray[np.uint8]:
    """Whose ink is where, as in a composed string: the digits' by their places, all other foreign."""
    owners = np.where(seen.ink, np.uint8(FOREIGN), np.uint8(0))
    for place, edge in enumerate(best.edges, start=1):
        region = seen.lattice.regions[edge]
        box = region.box
        owners[box.top : box.bottom, box.left : box.right][region.ink] = place
    return owners


def _take(view: View, edges: Sequence[int], labels: Sequence[int]) -> Samples:
    chosen = list(edges)
    return Samples(bitmaps=view.bitmaps[chosen], labels=np.array(labels, np.uint8), geometry=view.seen.lattice.geometry[chosen])
