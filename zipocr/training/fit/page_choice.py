"""Fitting of the choice among a page's candidates, on composed pages of held-out writers.

As a program, it adds the fitted arrays to a model file, and first the network of letters if that is
missing: ``python -m zipocr.training.fit.page_choice DATA MODEL [CHECKPOINTS]``.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zipocr.batch.backends import usable_cores
from zipocr.line.network import LETTERS, arrays_of
from zipocr.locate.candidates import Span
from zipocr.locate.choice_model import FEATURES, READING_FEATURES, feature_slice
from zipocr.locate.find import Located
from zipocr.locate.page_ink import find_ink
from zipocr.mail_reader import SEARCH_CARD, MailReader
from zipocr.models.model_file import SEARCH, load_model, save_model
from zipocr.page_attempt import Search
from zipocr.preprocess.rotate import turn_back
from zipocr.settings import search_hash
from zipocr.training.data.datasets import load_npz, load_openml, split_writers
from zipocr.training.fit.conditional_logit import Choice, fit_choice_model
from zipocr.training.fit.letters import about_letters, train_letters
from zipocr.training.fit.region_samples import map_strings
from zipocr.training.fit.svm import fit_logistic
from zipocr.training.synthesis.negatives import Negatives
from zipocr.training.synthesis.pages.compose import PAGE_QUOTAS, ComposedPage, PageComposer
from zipocr.training.synthesis.typefaces import typefaces
from zipocr.types import Box, Floats, Model, Unread

# Number of composed pages for the choice of candidates, and of others for the choice among
# readings.
PAGES, READINGS = 4400, 5200
# Weights of the kinds of pages: what is no mail has to be seen more often than its share of scans.
KINDS = {**PAGE_QUOTAS, "text_page": 2, "form": 2, "notes": 1, "receipt": 1}
SEED = 7100
HIDDEN, RIDGE = 16, 3e-3
# Minimum coverage of the ZIP by a candidate: as the right one, and as a part of it.
MIN_FIT, MIN_OVERLAP = 0.5, 0.3
# Every n-th page is not mail.
EACH_OTHER = 7
ORIENTATION_STRENGTH = 0.1


def without_choice(model: Model) -> Model:
    """Return a model with initial weights, which choose nothing; its network of letters stays."""
    nothing = {name: np.zeros([one or 1 for one in shape]) for name, shape in SEARCH.items()}
    card = {name: value for name, value in model.card.items() if name != SEARCH_CARD}
    letters = arrays_of(model.arrays, LETTERS)
    return replace(model, arrays={**model.arrays, **nothing, **letters}, card=card)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pages:
    """Composed pages of mail, mixed with other numbers, words and drawings without a ZIP."""

    mail: PageComposer
    others: Negatives

    def nth(self, number: int) -> ComposedPage:
        """Return the page with this number."""
        if number % EACH_OTHER:
            return self.mail.nth(number)
        image = self.others.nth(number).image
        return ComposedPage(image=image, zip="", plus4="", kind="other", box=None, rotation=0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PageSample:
    """The choice among a page's candidates, and its pooled features upright and upside down."""

    choice: Choice
    pooled: Floats
    upside_down: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Locate:
    reader: MailReader
    composer: Pages

    def __call__(self, number: int) -> PageSample:
        page = self.composer.nth(number)
        ink = find_ink(page.image)
        ways = (page.rotation, (page.rotation + 180) % 360)
        located, turned = (self.reader.locate(page.image, ink.rotated(way), way) for way in ways)
        features = [self.reader.span_features(located, span) for span in located.spans]
        return PageSample(
            choice=to_choice(features, right_span(page, located), FEATURES),
            pooled=located.pooled,
            upside_down=turned.pooled,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Read:
    """Task that reads the likeliest candidates of a page with and without a directory."""

    readers: tuple[MailReader, MailReader]
    composer: Pages

    def __call__(self, number: int) -> tuple[Choice, Choice]:
        page = self.composer.nth(number)
        located = locate_upright(self.readers[0], page)
        with_it, without = (_choice_of(page, reader, located) for reader in self.readers)
        return with_it, without


def _choice_of(page: ComposedPage, reader: MailReader, located: Located) -> Choice:
    search = reader.read_candidates(located)
    features = [reader.reading_features(one, search.candidates) for one in search.candidates]
    return to_choice(features, right_reading(page, search), READING_FEATURES)


def to_choice(features: Sequence[Sequence[float]], right: int | None, count: int) -> Choice:
    """Build the choice among a page's alternatives, of which possibly none is right."""
    rows = np.array(features, np.float64).reshape(-1, count)
    return Choice(features=rows, right=len(rows) if right is None else right)


def locate_upright(reader: MailReader, page: ComposedPage) -> Located:
    """Find the candidates of a composed page, rotated upright."""
    ink = find_ink(page.image).rotated(page.rotation)
    return reader.locate(page.image, ink, page.rotation)


def right_span(page: ComposedPage, located: Located) -> int | None:
    """Return the candidate that covers the ZIP best and nothing else, regardless of its reading."""
    if page.box is None:
        return None
    fits = [
        intersection_over_union(_place(page, located, span), page.box) for span in located.spans
    ]
    best = int(np.argmax(fits)) if fits else 0
    return best if fits and fits[best] >= MIN_FIT else None


def right_reading(page: ComposedPage, search: Search) -> int | None:
    """Return the candidate that was read right."""
    for place, one in enumerate(search.candidates):
        reading = one.attempt.reading
        if (
            page.zip
            and not isinstance(reading, Unread)
            and reading.zip == page.zip
            and is_there(page, search.located, one.span)
        ):
            return place
    return None


def is_there(page: ComposedPage, located: Located, span: Span) -> bool:
    """Return whether a candidate covers the ZIP, with or without its last four digits."""
    if page.box is None:
        return False
    box = _place(page, located, span)
    return intersection_over_union(box, page.box) >= MIN_OVERLAP


def _place(page: ComposedPage, located: Located, span: Span) -> Box:
    return turn_back(located.to_page(span.box), located.rotation, page.image.shape)


def intersection_over_union(one: Box, other: Box) -> float:
    """Return the intersection over union of two boxes."""
    rows = min(one.bottom, other.bottom) - max(one.top, other.top)
    columns = min(one.right, other.right) - max(one.left, other.left)
    shared = max(rows, 0) * max(columns, 0)
    return shared / max(one.height * one.width + other.height * other.width - shared, 1)


def fit_page_choice(
    model: Model, composer: Pages, count: int, readings: int, *, jobs: int
) -> dict[str, NDArray[np.float32]]:
    """Fit the choice of candidates, the choice among readings, and the page orientation."""
    start = without_choice(model)
    locating = _Locate(reader=MailReader(start), composer=composer)
    samples = map_strings(locating, range(count), jobs=jobs)
    arrays = {
        "span_choice_listed": _fit([one.choice for one in samples]),
        "span_choice_unlisted": _fit([without_listing(one.choice) for one in samples]),
        "page_orientation": fit_page_orientation(samples),
    }
    chosen = replace(start, arrays={**start.arrays, **arrays})
    readers = MailReader(chosen), MailReader(chosen, use_directory=False)
    reading = _Read(readers=readers, composer=composer)
    choices = map_strings(reading, range(count, count + readings), jobs=jobs)
    listed, unlisted = ([pair[place] for pair in choices] for place in range(2))
    return {
        **arrays,
        "reading_choice_listed": _fit(listed),
        "reading_choice_unlisted": _fit(unlisted),
    }


def without_listing(choice: Choice) -> Choice:
    """Return the alternatives of a page without the features of a directory."""
    features = choice.features.copy()
    features[:, feature_slice("listing")] = 0
    return replace(choice, features=features)


def _fit(choices: Sequence[Choice]) -> NDArray[np.float32]:
    some = [one for one in choices if len(one.features)]
    return fit_choice_model(some, hidden=HIDDEN, ridge=RIDGE, seed=SEED).pack()


def fit_page_orientation(samples: Sequence[PageSample]) -> Floats:
    """Fit a logistic model of an upright page: weights and bias, (97,)."""
    pairs = [one for one in samples if len(one.pooled) and len(one.upside_down)]
    seen = np.array([row for one in pairs for row in (one.pooled, one.upside_down)])
    truth = np.tile([True, False], len(pairs))
    slopes, bias = fit_logistic(seen, truth, strength=ORIENTATION_STRENGTH)
    return np.append(slopes, np.float32(bias)).astype(np.float32)


def main(data: str, path: str, checkpoints: str = "") -> None:
    """Add the arrays for reading whole pages to a model file."""
    nist = load_openml() if data == "openml" else load_npz(Path(data))
    writers, jobs = split_writers(nist), usable_cores()
    pages = Pages(
        mail=PageComposer(writers.calibrate, seed=SEED, part="train", kinds=KINDS),
        others=Negatives(writers.calibrate, seed=SEED + 1, part="train", faces=typefaces("train")),
    )
    model = load_model(path)
    folder = Path(checkpoints) if checkpoints else None
    letters, about_network = arrays_of(model.arrays, LETTERS), about_letters()
    if letters:
        about_network = model.card.get(SEARCH_CARD, {}).get("letters", about_network)
    else:
        letters = train_letters(writers.train, jobs=jobs, report=print, checkpoints=folder)
    model = replace(model, arrays={**model.arrays, **letters})
    arrays = fit_page_choice(model, pages, PAGES, READINGS, jobs=jobs)
    about = {
        "letters": about_network,
        "pages": f"composed pages of mail, {PAGES} and {READINGS} for the two choices; digits of"
        " the NIST writers that the confidence is fitted on, other typefaces and handwriting than"
        " those measured on",
        "seed": SEED,
        "settings": search_hash(),
    }
    made = replace(
        model, arrays={**model.arrays, **arrays}, card={**model.card, SEARCH_CARD: about}
    )
    save_model(Path(path), made)


if __name__ == "__main__":
    main(*sys.argv[1:])
