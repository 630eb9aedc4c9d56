"""The features of a candidate, and which of them counts most against it."""

import numpy as np
import pytest

from tests.locate.test_text_lines import boxes, row
from zipocr.locate.candidates import Span
from zipocr.locate.choice import PageLayout, span_features
from zipocr.locate.choice_model import FEATURES, GROUPS, ChoiceModel
from zipocr.locate.layout import lay_out
from zipocr.locate.text_lines import find_lines

LISTED = {"12207": None}
BEGIN = dict(zip(GROUPS, np.cumsum([0, *GROUPS.values()]).tolist(), strict=False))


def address() -> PageLayout:
    lines = find_lines(
        boxes(row("JANE DOE"), row("12 MAIN ST", top=140), row("ALBANY NY 12207", top=180))
    )
    counts = [[(0, 4), (0, 3)], [(2, 0), (0, 4), (0, 2)], [(0, 6), (0, 2), (5, 0)]]
    return PageLayout(lines=lines, positions=lay_out(lines), counts=counts, shape=(300, 500))


def span(line: int, word: int, layout: PageLayout, text: str = "12207") -> Span:
    return Span(
        line=line, first=word, last=word, box=layout.lines[line].words[word].box,
        strings={text: 0.9, "12201": 0.05}, shaped=0.95,
    )  # fmt: skip


def features(one: Span, layout: PageLayout, *others: Span) -> dict[str, list[float]]:
    found = span_features(one, layout, [one, *others], LISTED)
    assert len(found) == FEATURES
    return {name: found[begin : begin + GROUPS[name]] for name, begin in BEGIN.items()}


def test_a_zip_ending_the_last_line_is_distinguished_from_a_number_above() -> None:
    layout = address()
    last, above = span(2, 2, layout), span(1, 0, layout, "99999")
    mine, its = features(last, layout, above), features(above, layout, last)
    assert mine["listing"] == [pytest.approx(0.9)]
    assert its["listing"] == [0.0]
    assert mine["words behind it"][0] == 1.0
    assert its["words behind it"][0] == 0.0
    assert mine["words before it"][4] == 1.0
    assert mine["place in its block"][:4] == [0.0, 0.5, 1.0, 0.0]
    assert its["place in its block"][:4] == [0.0, 0.25, 0.0, 0.25]
    assert mine["place in its block"][4] < its["place in its block"][4]


def test_neighbouring_lines_and_the_writing_of_the_page_are_described() -> None:
    layout = address()
    mine = features(span(2, 2, layout), layout)
    assert mine["neighbouring lines"][:4] == [pytest.approx(6 / 12), pytest.approx(2 / 6), 1.0, 1.0]
    assert mine["neighbouring lines"][4:] == [0.0, 0.0, 0.0, 0.0]
    above = features(span(1, 0, layout), layout)
    assert above["neighbouring lines"][4:] == [
        pytest.approx(8 / 12),
        pytest.approx(5 / 6),
        0.0,
        0.0,
    ]
    assert mine["page's writing"] == [
        pytest.approx(np.log(4) / 3), pytest.approx(np.log(2) / 3), pytest.approx(7 / 28)
    ]  # fmt: skip


def test_the_weakness_of_a_candidate_is_the_feature_that_would_help_it_most() -> None:
    weights = np.zeros((1, FEATURES + 2), np.float32)
    weights[0, BEGIN["listing"]] = 5
    weights[0, BEGIN["spacing"]] = -1
    model = ChoiceModel.from_array(weights)
    best = [0.0] * FEATURES
    best[BEGIN["listing"]] = 1.0
    unlisted, wide = [0.0] * FEATURES, list(best)
    wide[BEGIN["spacing"]] = 2.0
    assert model.weakness(unlisted, best) == "listing"
    assert model.weakness(wide, best) == "spacing"
