"""Candidates on a page: what is found, what is cropped, and which way letters run."""

import cv2
import numpy as np
import pytest

from zipocr.line.network import Network
from zipocr.locate import find
from zipocr.locate.find import Located, is_long, pool_sample, read_ink, runs_upwards
from zipocr.locate.page_ink import MAX_SIDE, find_ink
from zipocr.models.model_file import load_model
from zipocr.preprocess.rotate import rotate

PAPER = 235


@pytest.fixture(scope="module")
def network() -> Network:
    return Network.from_model(load_model("mail"))


def page(*lines: str, scale: int = 1) -> np.ndarray:
    drawn = np.full((260 * scale, 900 * scale), PAPER, np.uint8)
    for number, text in enumerate(lines):
        at = 40 * scale, (80 + 60 * number) * scale
        size, stroke = 1.4 * scale, 2 * scale
        cv2.putText(drawn, text, at, cv2.FONT_HERSHEY_DUPLEX, size, 40, stroke, cv2.LINE_AA)
    return drawn


def located(network: Network, drawn: np.ndarray) -> Located:
    return read_ink(network, drawn, find_ink(drawn))


def texts(found: Located) -> set[str]:
    return {max(span.strings, key=span.strings.__getitem__) for span in found.spans}


def test_five_digits_are_candidates_but_words_and_shorter_numbers_are_not(
    network: Network,
) -> None:
    found = located(network, page("4821 ELM STREET", "ALBANY NY 12207", "18653"))
    assert texts(found) == {"12207", "18653"}
    assert [span.line for span in found.spans] == [1, 2]


def test_nine_digits_are_a_candidate(network: Network) -> None:
    found = located(network, page("ALBANY NY 12207-4455"))
    assert "122074455" in texts(found)


def test_a_crop_shows_only_its_candidate_at_the_resolution_of_the_page(network: Network) -> None:
    scale = 3
    drawn = page("48215 ELM STREET", "ALBANY NY 12207", scale=scale)
    assert max(drawn.shape) > MAX_SIDE
    found = located(network, drawn)
    (span,) = (one for one in found.spans if "12207" in one.strings)
    crop = found.crop(span)
    box = found.to_page(span.box)
    assert crop.shape[0] >= box.height
    rows = np.flatnonzero((crop < 120).any(axis=1))
    assert rows[-1] - rows[0] <= box.height + 2 * scale
    columns = np.flatnonzero((crop < 120).any(axis=0))
    assert columns[-1] - columns[0] <= box.width + 2 * scale


@pytest.mark.parametrize("degrees", [90, 270])
def test_letters_on_a_sideways_page_run_upwards(degrees: int) -> None:
    drawn = page("4821 ELM STREET", "ALBANY NY 12207")
    ink = find_ink(drawn)
    assert not runs_upwards(ink.components.boxes)
    assert runs_upwards(ink.rotated(degrees).components.boxes)


def test_rotated_ink_matches_the_ink_of_the_rotated_page() -> None:
    drawn = page("ALBANY NY 12207")
    rotated = find_ink(drawn).rotated(180)
    np.testing.assert_array_equal(
        rotated.components.ink[::-1, ::-1], find_ink(drawn).components.ink
    )
    again = find_ink(rotate(drawn, 180)).components.boxes
    assert abs(len(rotated.components.boxes) - len(again)) <= 1


def test_a_blank_page_has_no_candidates(network: Network) -> None:
    found = located(network, np.full((300, 900), PAPER, np.uint8))
    assert found.spans == ()
    assert len(found.pooled) in {0, 96}


def test_a_page_full_of_numbers_gives_no_candidates(network: Network) -> None:
    drawn = np.full((1400, 2000), PAPER, np.uint8)
    for row in range(40):
        text = " ".join(str(10_007 * (row + 3) + 11 * word)[:5] for word in range(16))
        at = 20, 35 + 34 * row
        cv2.putText(drawn, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.8, 30, 2, cv2.LINE_AA)
    assert located(network, drawn).spans == ()


def test_a_sample_of_a_long_page_tells_its_orientation(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = page("MAIN", "ALBANY NY 12207", "JANE")
    ink = find_ink(drawn)
    assert not is_long(ink)
    np.testing.assert_allclose(pool_sample(network, ink), located(network, drawn).pooled, atol=1e-4)
    monkeypatch.setattr(find, "LONG", 10.0)
    monkeypatch.setattr(find, "SAMPLE", 5.0)
    assert is_long(ink)
    alone = located(network, page("", "ALBANY NY 12207")).pooled
    np.testing.assert_allclose(pool_sample(network, ink), alone, atol=0.05)
