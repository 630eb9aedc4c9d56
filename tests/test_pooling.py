from dataclasses import replace

import numpy as np
import pytest
from drawings import lay, write
from hypothesis import given
from hypothesis import strategies as st

from zipocr.decode.strings import decode, spell
from zipocr.evidence import LINE_EVIDENCE, line_evidence
from zipocr.pooling import Pooled, View, pool
from zipocr.prepare import Binarization, find_ink, segment, to_working_size
from zipocr.sequence.network import CLASSES, FEATURES
from zipocr.sequence.reading import LineReading
from zipocr.sequence.strings import log_probabilities
from zipocr.sequence.strip import straighten

TEXT = "02346"
INKED = find_ink(to_working_size(lay(write(TEXT).cover, 235)), Binarization.OTSU)
STRIP = straighten(INKED.sheet.flat, INKED.ink, INKED.height)


def line_of(text: str, *, sure: float = 0.9) -> LineReading:
    """What a network would say that is so sure of each digit of a string, and thinks of the next higher digit otherwise."""
    frames = np.full((STRIP.pixels.shape[2] // 2, CLASSES), 1e-6, np.float32)
    frames[:, 0] = 1
    for place, frame in enumerate(np.linspace(4, len(frames) - 5, len(text)).astype(int)):
        digit = int(text[place])
        frames[frame, [0, digit + 1, (digit + 1) % 10 + 1]] = 1e-6, sure, 1 - sure
    frames /= frames.sum(axis=1, keepdims=True)
    share = float(np.exp(log_probabilities([frames], [text])[0][0]))
    seen = np.zeros((len(frames), FEATURES), np.float32)
    return LineReading(strip=STRIP, features=seen, frames=frames, strings={text: share}, shaped=0.99)


def view_of(line: LineReading | None = None) -> View:
    """All digits equally likely in regions as wide as a digit."""
    seen = segment(INKED, through=False)
    gains = np.full((len(seen.lattice.regions), 10), -3.0, np.float32)
    gains[:, 7] = -2.5
    bitmaps = np.zeros((len(gains), 32, 32), np.uint8)
    return View(seen=seen, bitmaps=bitmaps, gains=gains, candidates=decode(seen.lattice, gains), line=line)


def test_spelling_a_string_finds_the_score_that_decoding_gave_it():
    view = view_of()
    assert view.candidates
    for one in view.candidates:
        again = spell(view.seen.lattice, view.gains, one.text)
        assert (again.text, again.score) == (one.text, pytest.approx(one.score, abs=1e-4))


def test_a_string_is_spelt_whose_digits_nothing_speaks_for_and_none_that_needs_more_regions():
    view = view_of()
    assert spell(view.seen.lattice, view.gains, TEXT).score < view.candidates[0].score
    assert spell(view.seen.lattice, view.gains, "123456789") is None


def test_without_a_network_the_lattice_alone_decides():
    found = pool([view_of()], support=0.3, line_weight=1.0)
    assert found.in_line == {}
    assert found.strings[0].text == "77777"


@pytest.mark.parametrize("text", [TEXT, "90210"])
def test_what_the_network_reads_is_weighed_even_if_no_lattice_prefers_it(text):
    found = pool([view_of(line_of(text))], support=0.3, line_weight=1.0)
    assert found.strings[0].text == text
    assert set(found.in_line) == set(found.in_lattice)
    assert found.in_line[text] == max(found.in_line.values())
    ignored = pool([view_of(line_of(text))], support=0.3, line_weight=0.0)
    assert ignored.strings[0].text == "77777"


def test_no_view_no_string():
    assert pool([], support=0.3, line_weight=1.0) is None


def test_evidence_is_finite_and_rises_with_what_the_network_is_sure_of():
    faint, sure = (pool([view_of(line_of(TEXT, sure=share))], support=0.3, line_weight=1.0) for share in (0.6, 0.99))
    seen = [line_evidence(TEXT, found, line_of(TEXT, sure=share)) for found, share in ((faint, 0.6), (sure, 0.99))]
    assert seen[0].shape == (LINE_EVIDENCE,)
    assert np.isfinite(seen).all()
    assert seen[1][0] > seen[0][0]
    assert seen[1][1] >= seen[0][1]


def test_evidence_tells_that_the_network_prefers_another_string():
    found = Pooled(strings=(), views={}, in_lattice={"11111": 0.0, "22222": -3.0}, in_line={"11111": -6.0, "22222": -0.1})
    line = replace(line_of(TEXT), shaped=1.0)
    against, in_favour = line_evidence("11111", found, line), line_evidence("22222", found, line)
    assert against[-1] == 1
    assert in_favour[-1] == 0
    assert against[1] < 0 < in_favour[1]
    assert line_evidence("11111", found, None).tolist() == [0.0] * LINE_EVIDENCE


def test_centres_of_digits_are_columns_of_the_page():
    centres = line_of(TEXT).centres([TEXT])
    assert len(centres) == 1
    inked = np.flatnonzero(INKED.ink.any(axis=0))
    assert (np.diff(centres[0]) > 0).all()
    assert inked[0] - INKED.height < centres[0][0] < centres[0][-1] < inked[-1] + INKED.height


nats = st.floats(-69, 0)


@given(own=nats, other=nats, in_lattice=st.tuples(st.floats(-500, 50), st.floats(-500, 50)), shaped=st.floats(0, 1))
def test_evidence_is_finite_whatever_lattice_and_network_say(own, other, in_lattice, shaped):
    line = replace(line_of(TEXT), shaped=shaped)
    found = Pooled(
        strings=(), views={}, in_lattice=dict(zip(("11111", "22222"), in_lattice, strict=True)), in_line={"11111": own, "22222": other}
    )
    seen = line_evidence("11111", found, line)
    assert np.isfinite(seen).all()
    assert seen[-1] == (own < other)
    alone = replace(found, in_lattice={"11111": in_lattice[0]}, in_line={"11111": own})
    assert np.isfinite(line_evidence("11111", alone, line)).all()


def test_a_string_s_score_is_what_the_lattices_say_and_what_the_network_says_by_its_weight():
    one, other = line_of("02346"), line_of("90210", sure=0.7)
    found = pool([view_of(one), view_of(other)], support=0.3, line_weight=0.5)
    texts = list(found.in_lattice)
    assert {"02346", "90210", "77777"} <= set(texts)
    # The network looked twice: what it says lies between.
    looks = np.sort([log_probabilities([line.frames], texts)[0] for line in (one, other)], axis=0)
    assert all(least - 1e-6 <= found.in_line[text] <= most + 1e-6 for text, least, most in zip(texts, *looks, strict=True))
    scores = {candidate.text: candidate.score for candidate in found.strings}
    assert scores == pytest.approx({text: found.in_lattice[text] + 0.5 * found.in_line[text] for text in texts})
    assert [candidate.score for candidate in found.strings] == sorted(scores.values(), reverse=True)


def test_what_lattice_and_network_add_is_no_price_of_ink():
    """The prior takes up all that no region stands for, so that what is left of the score is what the regions earn."""
    view = view_of(line_of("90210"))
    for one in pool([view, view_of()], support=0.3, line_weight=2.0).strings:
        earned = sum(float(view.gains[edge, int(digit)]) for edge, digit in zip(one.edges, one.text, strict=True))
        assert one.score - one.prior == pytest.approx(earned, abs=1e-4)


def test_a_string_that_only_the_network_reads_and_no_regions_can_hold_is_left_out():
    found = pool([view_of(line_of("021081234"))], support=0.3, line_weight=1.0)
    assert "021081234" not in found.in_lattice
    assert found.strings
