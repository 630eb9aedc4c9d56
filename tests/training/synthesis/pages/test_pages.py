import json
from collections import Counter
from importlib import resources

import numpy as np
import pytest

from zipocr.errors import InputError
from zipocr.training.data.datasets import DigitSet
from zipocr.training.synthesis.pages import addresses, compose, faces, handwriting, layouts
from zipocr.training.synthesis.pages.addresses import Line, draw_destination, withhold_zip
from zipocr.training.synthesis.pages.canvas import Canvas, Writing
from zipocr.training.synthesis.pages.compose import PAGE_QUOTAS, PageComposer
from zipocr.training.synthesis.pages.surfaces import Scanning, as_cropped, on_scanner, on_table
from zipocr.training.synthesis.pages.typesetting import draw_print_face, set_lines
from zipocr.training.synthesis.scene_parameters import draw_kind
from zipocr.training.synthesis.typefaces import font_files
from zipocr.types import Box

KEPT_OUT = {
    "architects-daughter", "caveat", "cedarville-cursive", "covered-by-your-grace",
    "dancing-script", "gloria-hallelujah", "handlee", "homemade-apple", "indie-flower", "kalam",
    "marck-script", "nanum-pen-script", "patrick-hand", "reenie-beanie", "shadows-into-light",
    "sue-ellen-francisco",
}  # fmt: skip
CLEAN = Scanning(grain=0, noise=0, shade=0, blur=0, jpeg=0)


@pytest.fixture(scope="module")
def digits(all_digits: DigitSet) -> DigitSet:
    return all_digits.take(np.arange(600))


@pytest.fixture
def clean(monkeypatch):
    """Scans and prints without any loss, so that ink can be counted."""
    monkeypatch.setattr(compose, "draw_scanning", lambda _rng: CLEAN)
    monkeypatch.setattr(compose, "draw_low_quality", lambda _rng: CLEAN)


def made(digits, kind, *, part="train", count=2, seed=5, without_zip=0.0):
    source = PageComposer(digits, seed=seed, part=part, kinds={kind: 1}, without_zip=without_zip)
    return [source.nth(number) for number in range(count)]


def inside(box: Box, image) -> bool:
    return (
        0 <= box.top < box.bottom <= image.shape[0] and 0 <= box.left < box.right <= image.shape[1]
    )


@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize("kind", PAGE_QUOTAS)
def test_every_kind_gives_a_page_whose_box_lies_in_it(digits, kind, part):
    for page in made(digits, kind, part=part):
        assert page.image.dtype == np.uint8
        assert min(page.image.shape) >= 20
        assert (page.kind, page.rotation in {0, 90, 180, 270}) == (kind, True)
        if kind in layouts.NO_MAIL:
            assert (page.zip, page.plus4, page.box) == ("", "", None)
        else:
            assert page.zip.isdigit()
            assert len(page.zip) == 5
            assert len(page.plus4) in {0, 4}
            assert inside(page.box, page.image)


@pytest.mark.parametrize("kind", PAGE_QUOTAS)
def test_pages_without_a_zip_say_so(digits, kind):
    for page in made(digits, kind, without_zip=1.0):
        assert (page.zip, page.plus4, page.box) == ("", "", None)


def test_the_nth_page_is_the_same_whatever_was_made_before_it(digits):
    first, second = (PageComposer(digits, seed=9, part="train") for _ in range(2))
    for number in range(12):
        first.nth(number)
    for number in (11, 3, 7):
        one, other = first.nth(number), second.nth(number)
        assert (one.kind, one.zip, one.plus4, one.box, one.rotation) == (
            other.kind, other.zip, other.plus4, other.box, other.rotation,
        )  # fmt: skip
        assert np.array_equal(one.image, other.image)


def test_other_seeds_make_other_pages(digits):
    one, other = (
        PageComposer(digits, seed=seed, part="train", without_zip=0).nth(0) for seed in (1, 2)
    )
    assert not np.array_equal(one.image, other.image)


def test_kinds_come_as_often_as_their_quotas_say():
    rng = np.random.default_rng(0)
    found = Counter(draw_kind(rng, PAGE_QUOTAS) for _ in range(4000))
    for kind, quota in PAGE_QUOTAS.items():
        assert found[kind] / 4000 == pytest.approx(quota / sum(PAGE_QUOTAS.values()), abs=0.02)


def test_an_unknown_kind_is_refused(digits):
    with pytest.raises(ValueError, match="postcard"):
        PageComposer(digits, seed=0, part="train", kinds={"postcard": 1})


@pytest.mark.parametrize("kind", ["printed_block", "printed_line", "hand_block", "hand_line"])
@pytest.mark.usefixtures("clean")
def test_the_box_holds_the_zip_as_it_was_laid_on_the_page(digits, kind, monkeypatch):
    laid = []
    real = Canvas.lay

    def spy(self, writing, top, left, gray):
        laid.append(writing.zip_outline)
        real(self, writing, top, left, gray)

    monkeypatch.setattr(Canvas, "lay", spy)
    pages = made(digits, kind, count=6)
    for page, outline in zip(pages, laid, strict=True):
        box = page.box
        part = page.image[box.top : box.bottom, box.left : box.right].astype(int)
        assert part.max() - part.min() > 25
        long = (outline.max(axis=0) - outline.min(axis=0)).max()
        assert 0.95 * long <= max(box.height, box.width) <= 1.1 * long + 20


def test_print_outlines_the_zip_and_nothing_else():
    rng = np.random.default_rng(1)
    line = Line(text="AMES, IA 50010-1234 USA", zip_at=(9, 19))
    writing = set_lines(rng, [line], draw_print_face(rng, "train"), 30.0)
    (left, top), (right, bottom) = writing.zip_outline.min(axis=0), writing.zip_outline.max(axis=0)
    inked = np.flatnonzero(writing.cover[round(top) : round(bottom) + 1].max(axis=0) > 0.5)
    before, after = inked[inked < left - 1], inked[inked > right + 1]
    assert left - before[-1] > 4  # the blanks around it
    assert after[0] - right > 4
    assert 20 <= bottom - top <= 45


def test_handwriting_outlines_the_zip_by_one_writer_and_nothing_else(digits, monkeypatch):
    used = []
    real = handwriting.augment_glyph

    def spy(rng, glyph, label, *, strength):
        used.append((glyph.tobytes(), label))
        return real(rng, glyph, label, strength=strength)

    monkeypatch.setattr(handwriting, "augment_glyph", spy)
    for number in range(6):
        used.clear()
        rng = np.random.default_rng(number)
        writers = handwriting.DigitsOfWriters(digits)
        penman = handwriting.Penman(rng, writers, "train", height=40, needed="50010")
        writing = penman.write([Line(text="Ames, IA     50010", zip_at=(13, 18))], leading=2.0)
        assert [label for _, label in used] == [5, 0, 0, 1, 0]
        owners = [
            {writer for image, writer in zip(digits.images, digits.writers, strict=True)
             if image.tobytes() == glyph}
            for glyph, _ in used
        ]  # fmt: skip
        assert set.intersection(*owners)
        left = writing.zip_outline.min(axis=0)[0]
        gap = writing.cover[:, round(left) - 20 : round(left) - 4]
        assert gap.max() < 0.5


def test_a_redacted_zip_is_black_and_gone():
    cover = np.zeros((20, 60), np.float32)
    cover[5:15:2, 30:50] = 1
    outline = np.array([[30.0, 5.0], [49.0, 5.0], [49.0, 13.0]])
    found = Writing(cover=cover, zip_outline=outline, height=10.0).redacted()
    assert found.zip_outline is None
    assert found.cover[5:14, 30:50].min() == 1
    assert found.cover[:, :25].max() == 0


@pytest.mark.parametrize("part", ["train", "test"])
def test_an_address_without_its_zip_shows_none_of_its_digits(part):
    rng = np.random.default_rng(3)
    for _ in range(300):
        address = draw_destination(rng, part)
        found = withhold_zip(rng, part, address)
        assert (found.zip, found.plus4) == ("", "")
        assert found.lines
        assert all(line.text for line in found.lines)
        if not found.is_redacted:
            assert all(line.zip_at == (0, 0) for line in found.lines)
            marked = [line for line in address.lines if line.zip_at != (0, 0)]
            assert not any(line.text in {one.text for one in found.lines} for line in marked)


@pytest.mark.parametrize("part", ["train", "test"])
def test_the_marked_letters_of_an_address_are_its_zip(part):
    rng = np.random.default_rng(4)
    for _ in range(500):
        address = draw_destination(rng, part)
        marked = [line.text[slice(*line.zip_at)] for line in address.lines if line.zip_at[1]]
        below = "".join(line.text for line in address.lines if line.is_plus4)
        assert len(marked) == 1
        figures = "".join(letter for letter in marked[0] + below if letter.isdigit())
        assert figures == address.zip + address.plus4


def test_addresses_come_in_all_orders():
    rng = np.random.default_rng(6)
    drawn = [draw_destination(rng, "train") for _ in range(600)]
    places = [
        (len(one.lines) - 1 - place, line.zip_at[0] == 0, line.zip_at[1] == len(line.text))
        for one in drawn
        for place, line in enumerate(one.lines)
        if line.zip_at[1]
    ]
    assert any(below for below, _, _ in places)  # lines behind the ZIP
    assert any(first and not last for _, first, last in places)  # the ZIP before its town
    assert any(first and last for _, first, last in places)  # on a line of its own
    assert any(line.is_plus4 for one in drawn for line in one.lines)


def test_towns_of_training_are_not_those_of_measuring():
    train, test = (set(addresses._part_zips(part)) for part in ("train", "test"))
    assert not train & test
    assert len(train | test) > 40_000


def test_no_typeface_belongs_to_two_parts_and_those_kept_for_measuring_are_not_drawn():
    for table in (faces.HANDWRITING, faces.MONOSPACED, faces.PROPORTIONAL):
        assert not set(table["train"]) & set(table["test"])
        assert not KEPT_OUT & {*table["train"], *table["test"]}
    for part in ("train", "test"):
        names = {path.name for path in faces.print_files(part)}
        assert not any(name.startswith(("DejaVu", "Liberation", "Free")) for name in names)
        assert names >= {path.name for path in font_files(part) if "DejaVu" not in path.name}


def test_the_packages_that_are_installed_are_those_that_are_drawn_from():
    listed = json.loads(
        (resources.files("zipocr.training.synthesis.pages") / "package.json").read_text()
    )["dependencies"]
    tables = (faces.HANDWRITING, faces.MONOSPACED, faces.PROPORTIONAL)
    drawn = {name for table in tables for part in table.values() for name in part}
    drawn |= {*faces.MORE_HANDWRITING, *faces.DIGIT_HANDS}
    assert not drawn & KEPT_OUT
    assert {name.removeprefix("@fontsource/") for name in listed} == drawn
    assert all(version.count(".") == 2 and version[0].isdigit() for version in listed.values())


def test_missing_typefaces_name_the_cure(monkeypatch, tmp_path):
    monkeypatch.setattr(faces, "_PLACES", (tmp_path,))
    with pytest.raises(InputError, match="make fonts"):
        faces._installed("mali", 400)


@pytest.mark.parametrize("turns", range(4))
def test_a_box_follows_its_page_through_quarter_turns(turns):
    page = Canvas((40, 100), 255)
    page.image[10:20, 70:90] = 0
    page.zip_outline = np.array([[70.0, 10.0], [89.0, 10.0], [89.0, 19.0], [70.0, 19.0]])
    view = as_cropped(page, angle=0.0)
    box = compose._turned_box(view, turns)
    turned = np.rot90(view.image, turns)
    ys, xs = np.nonzero(turned == 0)
    assert box == Box(
        top=ys.min(), left=xs.min(), bottom=int(ys.max()) + 1, right=int(xs.max()) + 1
    )


@pytest.mark.parametrize("look", [on_scanner, on_table])
def test_a_box_follows_its_sheet_onto_scanner_and_table(look):
    page = Canvas((400, 900), 250)
    page.image[300:340, 600:760] = 100
    page.zip_outline = np.array([[600.0, 300.0], [759.0, 300.0], [759.0, 339.0], [600.0, 339.0]])
    for seed in range(5):
        view = look(np.random.default_rng(seed), page, angle=9.0)
        box = compose._turned_box(view, 0)
        inside = view.image[box.top : box.bottom, box.left : box.right]
        assert (abs(inside.astype(int) - 100) < 8).mean() > 0.5


def test_a_label_that_is_pasted_takes_its_zip_along():
    page, label = Canvas((300, 500), 120), Canvas((60, 160), 250)
    label.image[20:40, 90:140] = 0
    label.zip_outline = np.array([[90.0, 20.0], [139.0, 20.0], [139.0, 39.0], [90.0, 39.0]])
    page.paste(label, 100, 200, 8.0)
    low, high = page.zip_outline.min(axis=0), page.zip_outline.max(axis=0)
    ys, xs = np.nonzero(page.image < 60)
    assert np.allclose([xs.min(), ys.min()], low, atol=2)
    assert np.allclose([xs.max(), ys.max()], high, atol=2)


@pytest.mark.parametrize(("top", "left"), [(60, 5), (-60, 5), (5, 90), (5, -90), (45, 5)])
def test_ink_beside_a_sheet_is_cut_off(top: int, left: int):
    sheet = Canvas((50, 80), 240)
    before = sheet.image.copy()
    sheet.ink(np.ones((10, 20), np.float32), top, left, 20)
    changed = np.argwhere(sheet.image != before)
    assert len(changed) == (5 * 20 if top == 45 else 0)
