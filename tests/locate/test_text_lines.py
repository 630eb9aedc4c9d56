"""Lines of text: which letters are linked, where words end, and how pieces are assigned."""

import numpy as np
import pytest

from zipocr.locate.text_lines import MAX_LINES, count_neighbours, find_lines, transposed

HEIGHT, WIDTH, STEP = 20, 12, 16


def row(text: str, *, left: int = 50, top: int = 100, slope: float = 0.0) -> list[list[int]]:
    """Boxes of letters, none for a blank."""
    places = [left + STEP * place for place, letter in enumerate(text) if letter != " "]
    return [
        [place, round(top + slope * (place - left)), WIDTH, HEIGHT, WIDTH * HEIGHT // 2]
        for place in places
    ]


def boxes(*rows: list[list[int]]) -> np.ndarray:
    return np.array([box for one in rows for box in one], np.int32)


@pytest.mark.parametrize("slope", [0.0, 0.1, -0.2])
def test_neighbouring_letters_form_one_line_at_any_slope(slope: float) -> None:
    (line,) = find_lines(boxes(row("MAIN STREET 12", slope=slope)))
    assert [len(word.places) for word in line.words] == [4, 6, 2]
    assert line.height == HEIGHT
    assert line.slope == pytest.approx(slope, abs=0.02)


def test_lines_are_sorted_from_top_to_bottom() -> None:
    lines = find_lines(boxes(row("THIRD", top=180), row("FIRST", top=100), row("SECOND", top=140)))
    assert [len(line.words[0].places) for line in lines] == [5, 6, 5]
    assert [line.box.top for line in lines] == [100, 140, 180]


def test_distant_columns_are_separate_lines() -> None:
    assert len(find_lines(boxes(row("SENDER"), row("12345", left=600)))) == 2


def test_pieces_of_a_broken_letter_belong_to_their_line() -> None:
    letters = row("12207")
    left, top = letters[2][:2]
    letters[2:3] = [[left, top, WIDTH, 4, 30], [left + 4, top + 15, WIDTH - 4, 5, 20]]
    (line,) = find_lines(boxes(letters))
    assert sum(len(word.places) for word in line.words) == 6
    assert line.height == HEIGHT


def test_each_letter_belongs_to_at_most_one_line() -> None:
    rng = np.random.default_rng(3)
    scattered = np.column_stack(
        [rng.integers(0, 900, 200), rng.integers(0, 600, 200), rng.integers(4, 30, 200),
         rng.integers(4, 40, 200), rng.integers(10, 400, 200)]
    ).astype(np.int32)  # fmt: skip
    owned = [
        place for line in find_lines(scattered) for word in line.words for place in word.places
    ]
    assert len(owned) == len(set(owned))


def test_a_page_without_ink_has_no_lines() -> None:
    assert find_lines(np.zeros((0, 5), np.int32)) == []


def test_letters_on_a_sideways_page_have_their_neighbours_below() -> None:
    upright = boxes(row("MAIN STREET"), row("ALBANY NY", top=180))
    assert count_neighbours(upright) > 2 * count_neighbours(transposed(upright))


def test_the_side_of_a_frame_does_not_take_the_letters_beside_it() -> None:
    rows = [row("JANE DOE", top=100), row("12 MAIN ST", top=140), row("ALBANY 12207", top=180)]
    side = [[262, 70, 4, 170, 3000]]
    lines = find_lines(boxes(*rows, side))
    assert sorted(len(line.words) for line in lines if line.height == HEIGHT) == [2, 2, 3]


def test_of_a_page_with_texture_the_longest_lines_are_kept() -> None:
    texture = [row("TWO", left=40 * place, top=60 * place) for place in range(MAX_LINES + 30)]
    lines = find_lines(boxes(*texture, row("ALBANY NY 12207", left=3000)))
    assert len(lines) == MAX_LINES
    assert max(line.length for line in lines) > 10
    assert [line.box.top for line in lines] == sorted(line.box.top for line in lines)
