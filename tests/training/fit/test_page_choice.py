"""What the choice on whole pages is fitted to: the right candidate, its reading, and the way up."""

from dataclasses import replace

import numpy as np
import pytest

from zipocr.mail_reader import MailReader
from zipocr.models.model_file import load_model
from zipocr.training.data.datasets import DigitSet
from zipocr.training.fit.page_choice import (
    EACH_OTHER,
    Pages,
    fit_page_choice,
    intersection_over_union,
    locate_upright,
    right_reading,
    right_span,
    without_choice,
)
from zipocr.training.synthesis.negatives import Negatives
from zipocr.training.synthesis.pages.compose import PageComposer
from zipocr.types import Box, Model, ZipReading

KINDS = {"printed_block": 1.0, "printed_line": 1.0}


@pytest.fixture(scope="module")
def pages(all_digits: DigitSet) -> Pages:
    digits = all_digits.take(np.arange(600))
    mail = PageComposer(digits, seed=3, part="train", kinds=KINDS, without_zip=0.3)
    others = Negatives(digits, seed=4, part="train", kinds={"six": 1.0, "word": 1.0})
    return Pages(mail=mail, others=others)


@pytest.fixture(scope="module")
def fitted(pages: Pages) -> Model:
    model = without_choice(load_model("mail"))
    arrays = fit_page_choice(model, pages, 42, 42, jobs=1)
    return replace(model, arrays={**model.arrays, **arrays})


def test_boxes_are_compared_by_what_they_share() -> None:
    box = Box(top=10, left=10, bottom=20, right=30)
    assert intersection_over_union(box, box) == 1
    assert intersection_over_union(box, replace(box, right=20)) == 0.5
    assert intersection_over_union(box, replace(box, left=30, right=40)) == 0


def test_one_page_in_a_few_is_no_mail(pages: Pages) -> None:
    kinds = [pages.nth(number).kind for number in range(2 * EACH_OTHER)]
    assert [number for number, kind in enumerate(kinds) if kind == "other"] == [0, EACH_OTHER]


def test_the_right_candidate_covers_the_zip_and_a_page_without_one_has_none(pages: Pages) -> None:
    reader, found = MailReader(without_choice(load_model("mail"))), 0
    for number in range(1, EACH_OTHER):
        page = pages.nth(number)
        located = locate_upright(reader, page)
        place = right_span(page, located)
        if not page.zip:
            assert place is None
        elif place is not None:
            found += 1
            assert page.zip in {text[:5] for text in located.spans[place].strings}
    assert found >= 2


def test_what_was_fitted_chooses_and_tells_which_way_up_a_page_is(
    fitted: Model, pages: Pages
) -> None:
    reader = MailReader(fitted)
    right = upright = with_zip = false = 0
    for number in range(100, 130):
        page = pages.nth(number)
        search = reader.read_candidates(locate_upright(reader, page))
        upright += reader.orientation_log_odds(search.located.pooled) > 0
        best = search.ranked[0] if search.candidates else None
        if page.zip:
            with_zip += 1
            place = right_reading(page, search)
            right += (
                best is not None
                and place is not None
                and (search.candidates[place] is best[0] and best[1] > 0.5)
            )
        else:
            false += best is not None and best[1] > 0.9
    assert right >= 0.6 * with_zip
    assert upright >= 20
    assert false <= 2


def test_the_fit_does_not_depend_on_the_number_of_processes(pages: Pages) -> None:
    model = without_choice(load_model("mail"))
    one, two = (fit_page_choice(model, pages, 14, 14, jobs=jobs) for jobs in (1, 2))
    for name, array in one.items():
        np.testing.assert_array_equal(array, two[name])


def test_a_right_place_that_was_misread_is_not_right(fitted: Model, pages: Pages) -> None:
    reader = MailReader(fitted)
    page = next(page for page in map(pages.nth, range(1, EACH_OTHER)) if page.zip)
    search = reader.read_candidates(locate_upright(reader, page))
    place = right_reading(page, search)
    assert place is not None
    reading = search.candidates[place].attempt.reading
    assert isinstance(reading, ZipReading)
    assert right_reading(replace(page, zip="00000"), search) is None
