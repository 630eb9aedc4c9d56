"""Comparison of the letters beside a number with the towns of ZIPs."""

import numpy as np
import pytest

from tests.locate.test_text_lines import boxes, row
from zipocr.line.network import ALPHABET, BLANK, DIGIT
from zipocr.locate.candidates import Span
from zipocr.locate.choice import PageLayout
from zipocr.locate.layout import lay_out
from zipocr.locate.text_lines import find_lines
from zipocr.locate.towns import (
    NATS_PER_LETTER,
    UNKNOWN,
    Agreement,
    PlacedWord,
    align,
    best_agreements,
    spell_state,
    spell_town,
    to_losses,
    words_beside,
)
from zipocr.types import Place

CLASSES = DIGIT + 1
SURE = 0.97


def frames_of(text: str, *, blur: float = 0.0) -> np.ndarray:
    """Frames that show a text, each letter in one frame between blanks; # is a digit."""
    labels = [BLANK]
    for sign in text:
        labels += [DIGIT if sign == "#" else ALPHABET.index(sign) + 1, BLANK]
    frames = np.full((len(labels), CLASSES), (1 - SURE) / (CLASSES - 1), np.float32)
    frames[np.arange(len(labels)), labels] = SURE
    return frames * (1 - blur) + blur / CLASSES


def agreement(shown: str, spelling: str) -> Agreement:
    (one,) = align(to_losses(frames_of(shown)), [spelling])
    return one


def test_a_name_that_is_shown_loses_nothing_and_gains_for_each_letter() -> None:
    one = agreement("ALBANYNY", "ALBANYNY")
    assert one.loss == pytest.approx(0)
    assert one.gain == pytest.approx(8 * NATS_PER_LETTER)


def test_anything_may_stand_before_a_name() -> None:
    assert agreement("##MAINSTALBANYNY", "ALBANYNY").loss == pytest.approx(0)


def test_nothing_may_stand_behind_a_name() -> None:
    assert agreement("ALBANYNYX", "ALBANYNY").loss > 0.4


def test_a_wrong_letter_costs_less_than_another_name() -> None:
    right, near, far = (
        agreement("COSMOPOLISWA", name) for name in ("COSMOPOLISWA", "COSMAPOLISWA", "CENTRALIAWA")
    )
    assert right.gain > near.gain > far.gain
    assert near.gain > 0 > far.gain


def test_doubled_letters_need_a_blank_between_them() -> None:
    shown = np.repeat(frames_of("BEL"), 3, axis=0)
    single, double = align(to_losses(shown), ["BEL", "BELL"])
    assert single.loss == pytest.approx(0)
    assert double.loss > 0.5


def test_spellings_of_different_lengths_are_aligned_as_if_alone() -> None:
    losses = to_losses(frames_of("SAINTOLAFIA", blur=0.2))
    spellings = ["STOLAFIA", "IA", "SAINTOLAFIA", "X"]
    together = align(losses, spellings)
    alone = [align(losses, [one])[0] for one in spellings]
    assert [one.gain for one in together] == pytest.approx([one.gain for one in alone])


def test_a_town_is_spelt_with_and_without_its_state_and_abbreviated() -> None:
    place = Place(city="Saint Olaf", state="IA")
    spelt = spell_town(place)
    assert {"SAINTOLAF", "SAINTOLAFIA", "SAINTOLAFIOWA", "STOLAFIA"} <= set(spelt)
    assert spell_state("IA") == ["IA", "IOWA"]


def test_only_latin_letters_of_a_name_are_spelt() -> None:
    assert spell_town(Place(city="O'Fallon", state="MO"))[0] == "OFALLON"
    assert spell_town(Place(city="Cañon City", state="CO"))[0] == "CANONCITY"
    assert spell_town(Place(city="東京", state="")) == ()
    assert len(spell_town(Place(city="a" * 9999, state="b" * 9999))[0]) == 40


def test_frames_of_blanks_are_merged() -> None:
    blanks = np.full((40, CLASSES), 1e-6, np.float32)
    blanks[:, BLANK] = 1
    losses = to_losses(np.concatenate([blanks, frames_of("NY"), blanks]))
    assert len(losses) < 12
    assert losses.max() == 0


def page(*rows: list[tuple[int, ...]]) -> PageLayout:
    lines = find_lines(boxes(*rows))
    counts = [[(0, 0)] * len(line.words) for line in lines]
    return PageLayout(lines=lines, positions=lay_out(lines), counts=counts, shape=(600, 1200))


def number(layout: PageLayout, row: int, word: int) -> Span:
    return Span(
        line=row, first=word, last=word, box=layout.lines[row].words[word].box,
        strings={"12207": 0.9}, shaped=0.95,
    )  # fmt: skip


def lefts(words: list[PlacedWord]) -> list[int]:
    return [word.box.left for _, word in words]


def test_the_words_before_and_behind_a_number_are_those_of_its_row() -> None:
    layout = page(row("JANE DOE"), row("ALBANY NY 12207 USA", top=180))
    before, behind = words_beside(layout, number(layout, 1, 2))
    line = layout.lines[1]
    assert lefts(before) == [word.box.left for word in line.words[:2]]
    assert lefts(behind) == [line.words[3].box.left]


def test_a_row_goes_on_across_a_gap_that_divides_lines() -> None:
    layout = page(row("ALBANY"), row("12207", left=240))
    assert len(layout.lines) == 2
    place = int(layout.lines[0].box.left < 200)
    before, _ = words_beside(layout, number(layout, place, 0))
    assert len(before) == 1


def test_a_row_ends_at_another_column() -> None:
    layout = page(row("OTHER TEXT"), row("ALBANY NY 12207", left=700))
    place = max(range(2), key=lambda one: layout.lines[one].box.left)
    before, _ = words_beside(layout, number(layout, place, 2))
    assert min(lefts(before)) >= 700


def test_the_row_above_counts_if_there_is_little_before_a_number() -> None:
    layout = page(row("JANE DOE"), row("ALBANY NY", top=140), row("12207", top=180))
    before, _ = words_beside(layout, number(layout, 2, 0))
    assert lefts(before) == [word.box.left for word in layout.lines[1].words]
    layout = page(row("MAIN STREET"), row("ALBANY NY 12207", top=140))
    before, _ = words_beside(layout, number(layout, 1, 2))
    assert lefts(before) == [word.box.left for word in layout.lines[1].words[:2]]


def test_a_town_behind_a_number_is_found_as_well_as_one_before_it() -> None:
    before, behind = to_losses(frames_of("MAINST")), to_losses(frames_of("ALBANYNYUSA"))[::-1]
    one, other, none = best_agreements((before, behind), [["ALBANYNY", "ALBANY"], ["MAINST"], []])
    assert one.loss == pytest.approx(0)
    assert one.gain == pytest.approx(8 * NATS_PER_LETTER)
    assert other.gain == pytest.approx(6 * NATS_PER_LETTER)
    assert none is UNKNOWN
    assert best_agreements((before, behind[:0]), [["ALBANYNY"]])[0].gain < 0
    assert best_agreements((before[:0], behind[:0]), [["ALBANYNY"]]) == [UNKNOWN]


def test_a_word_of_another_column_is_not_the_row_above() -> None:
    layout = page(
        row("ALBANY NY", left=700, top=138), row("12207", left=700, top=180),
        row("MAIN ST", left=40, top=150),
    )  # fmt: skip
    place = next(one for one in range(3) if layout.lines[one].box.top == 180)
    before, _ = words_beside(layout, number(layout, place, 0))
    assert min(lefts(before)) >= 700


def test_words_too_short_for_a_name_do_not_agree_with_it() -> None:
    one = agreement("NY", "POUGHKEEPSIE")
    assert one.gain == -np.inf


def test_the_first_word_of_a_name_may_be_abbreviated_in_any_case() -> None:
    assert "EORANGENEWJERSEY" in spell_town(Place(city="east Orange", state="nj"))
