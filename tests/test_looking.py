"""At a glance or by a look: what is asked of whom, and that both tell the same story."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zipocr.evidence import GLANCE_EVIDENCE, glance_evidence
from zipocr.images import read_pages
from zipocr.looking import LARGER, Looker
from zipocr.model_file import load_model
from zipocr.pooling import glimpse, pool
from zipocr.prepare import Inked, Segmentation
from zipocr.reader import Reader
from zipocr.sequence.strings import log_probabilities
from zipocr.types import Reason, Unread, ZipReading

SAMPLES = Path(__file__).parents[1] / "sample_scans"


@pytest.fixture(scope="module")
def pages() -> list[np.ndarray]:
    with (SAMPLES / "labels.csv").open(newline="", encoding="utf-8") as file:
        names = [row["file"] for row in csv.DictReader(file) if row["zip"]]
    found = [next(iter(read_pages(SAMPLES / name, max_pixels=10**7))) for name in dict.fromkeys(names)]
    return [page for page in found[::6] if not isinstance(page, Unread)]


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader(load_model("mail"))


class Careful(Reader):
    """Never takes a glance for enough."""

    glances = False


@pytest.mark.real
def test_most_pages_are_read_at_a_glance_and_only_sure_ones(reader, pages):
    sure, _ = load_model("mail").arrays["sure"].tolist()
    opened = [reader.open(page) for page in pages]
    glances = [reader.glance(one) for one in opened]
    assert np.mean([one is not None for one in glances]) > 0.5
    for one, glance in zip(opened, glances, strict=True):
        assert (glance is not None) == (one.line is not None and reader.likeliest(one.line)[1] >= sure)
        assert glance is None or (glance.is_glance and len(glance.seen.lattice.regions) == 0)


@pytest.mark.real
def test_a_second_glance_is_taken_where_the_first_leaves_doubt_and_may_be_enough(pages):
    reader = Reader(load_model("mail"))
    for page in pages:
        opened = reader.open(page)
        (sureness, again) = (reader.likeliest(one.line)[1] if one.line else 0.0 for one in (opened, reader.again(opened)))
        view = reader.see(opened)[0]
        # Whatever the second glance says, a first one that is sure is enough.
        assert (view.is_glance and not view.line.is_twice) == (sureness >= reader._sure[0])
        if sureness < reader._sure[0] and again >= reader._sure[1]:
            assert view.is_glance
            assert view.line.is_twice


@pytest.mark.real
def test_a_look_does_not_contradict_a_glance(reader, pages):
    careful = Careful(load_model("mail"))
    glanced = [page for page in pages if reader.glance(reader.open(page))]
    pairs = [(reader.read(page), careful.read(page)) for page in glanced]
    assert all(isinstance(one, ZipReading) and isinstance(other, ZipReading) for one, other in pairs)
    assert np.mean([one.zip == other.zip for one, other in pairs]) > 0.95


@pytest.mark.real
def test_what_was_read_at_a_glance_is_shown_region_by_region(reader, pages):
    for page in pages:
        trace = reader.trace(page)
        assert trace.reading == reader.read(page)
        if reader.glance(reader.open(page)) and trace.reading.rotation == 0:
            assert len(trace.regions) == len(trace.grids) == len(trace.reading.zip + trace.reading.plus4)
            lefts = [region.box.left + region.box.right for region in trace.regions]
            assert lefts == sorted(lefts)


class Astray(Reader):
    """Its network misplaces all digits."""

    def segment(self, inked, *, through, centres=()):
        return super().segment(inked, through=through, centres=[one + 1000 for one in centres])


@pytest.mark.real
def test_regions_are_shown_even_where_the_network_misplaces_digits(reader, pages):
    astray = Astray(load_model("mail"))
    glanced = [page for page in pages if reader.glance(reader.open(page))]
    for page in glanced[:5]:
        trace = astray.trace(page)
        assert trace.reading == reader.read(page)
        assert len(trace.regions) == len(trace.reading.zip + trace.reading.plus4)


@pytest.mark.real
def test_evidence_is_as_long_for_a_glance_as_for_a_look_and_tells_them_apart(reader, pages):
    opened = next(one for one in map(reader.open, pages) if reader.glance(one))
    glance, look = reader.pool([reader.glance(opened)]), reader.pool(reader.look(opened))
    one, other = reader.evidence(glance), reader.evidence(look)
    assert one.shape == other.shape
    assert not one[:-GLANCE_EVIDENCE].any()
    assert one[-GLANCE_EVIDENCE] == 1
    assert not other[-GLANCE_EVIDENCE:].any()
    assert np.isfinite(one).all()


@pytest.mark.real
def test_evidence_of_a_glance_rises_with_the_string_s_probability_and_tells_that_the_directory_chose(reader, pages):
    opened = next(one for one in map(reader.open, pages) if reader.glance(one))
    seen = []
    for share in (0.6, 0.99):
        line = replace(opened.line, strings={"10001": share, "10007": 1 - share})
        pooled = pool([glimpse(opened.inked, line)], support=0.3, line_weight=1.0)
        seen.append(glance_evidence(pooled.strings, pooled, line))
        turned = glance_evidence(pooled.strings[::-1], pooled, line)
        assert (seen[-1][5], turned[5]) == (0, 1)
        assert seen[-1][6] == pytest.approx(min(np.log(share / (1 - share)), 6), abs=1e-5)
        assert (turned[6], turned[7], seen[-1][7]) == pytest.approx((-seen[-1][6], -seen[-1][6], min(seen[-1][6], 2)))
        again = glance_evidence(pooled.strings, pooled, replace(line, again=line.frames))
        assert (seen[-1][8:].tolist(), again[8:].tolist()) == ([0, 0], [1, seen[-1][2]])
    assert (seen[1][1:3] > seen[0][1:3]).all()


@pytest.mark.real
def test_the_directory_makes_a_glance_surer_of_what_it_lists_and_less_sure_of_what_it_does_not(reader, pages):
    line = next(one.line for one in map(reader.open, pages) if one.line)
    alone = Reader(load_model("mail"), use_directory=False)
    for text, other in (("10001", "99999"), ("99999", "10001")):
        found = replace(line, strings={text: 0.6, other: 0.3})
        assert alone.likeliest(found) == (text, 0.6)
        assert reader.likeliest(found)[0] == "10001"
    unlike = replace(line, strings={"10001": 0.6, "10007": 0.3}), replace(line, strings={"99999": 0.6, "99998": 0.3})
    shares = [reader.likeliest(found)[1] for found in unlike]
    assert shares == pytest.approx([0.6 / 0.9, 0.6], abs=0.002)
    assert reader.likeliest(replace(line, strings={})) == ("", 0.0)


class Blind(Reader):
    """Sees no region on any page, and never takes a glance for enough."""

    glances = False

    def segment(self, inked: Inked, **_: Any) -> Segmentation:
        nowhere = np.zeros(5)
        return super().segment(inked, through=False, centres=[nowhere])


@pytest.mark.real
def test_where_no_regions_follow_each_other_the_network_s_word_is_all_there_is(pages):
    blind = Blind(load_model("mail"))
    opened = blind.again(next(one for one in map(blind.open, pages) if one.line and one.line.strings))
    (view,) = blind.look(opened)
    assert view.is_glance
    assert [one.text for one in view.candidates] == list(opened.line.strings)
    empty = replace(opened, line=replace(opened.line, strings={}))
    assert not any(view.candidates for view in blind.look(empty))


@pytest.mark.real
def test_digits_stand_at_a_glance_where_they_stand_on_the_page_at_working_size(reader, pages):
    for page in pages:
        opened = reader.open(page)
        inked, line = next(reader.closer(opened))
        text = next(iter(opened.line.strings))
        (near,), (there,) = line.centres((text,)), reader.read_line(inked).centres((text,))
        assert len(near) == len(text)
        assert np.abs(near - there).max() < 0.25 * inked.height
        assert (line.frames is opened.line.frames, line.strings is opened.line.strings) == (True, True)


@pytest.mark.real
def test_in_doubt_a_line_is_seen_again_and_strings_have_the_geometric_mean_of_both(reader, pages):
    opened = next(one for one in map(reader.open, pages) if one.line and 0.3 < reader.likeliest(one.line)[1] < 0.9)
    twice = reader.again(opened)
    assert reader.again(twice) is twice
    other = reader.read_line(replace(opened.inked, height=opened.inked.height * LARGER))
    assert np.array_equal(twice.line.again, other.frames)
    assert twice.line.strings.keys() <= opened.line.strings.keys() | other.strings.keys()
    assert sum(twice.line.strings.values()) <= 1
    texts = [*twice.line.strings, "00000"]
    means = (log_probabilities([opened.line.frames], texts)[0] + log_probabilities([other.frames], texts)[0]) / 2
    shifts = twice.line.log_probabilities(texts) - means
    assert shifts == pytest.approx(shifts[0], abs=0.05)


@pytest.mark.real
def test_regions_are_looked_at_only_where_the_network_thinks_that_a_zip_may_stand(monkeypatch, pages):
    careful = Careful(load_model("mail"))
    monkeypatch.setattr("zipocr.pooling.Pooled.lead", 0.0)
    opened = careful.again(careful.open(pages[0]))
    hardly, perhaps = (careful.look(replace(opened, line=replace(opened.line, shaped=shaped))) for shaped in (0.0005, 0.5))
    assert ([view.is_glance for view in hardly], [view.is_glance for view in perhaps]) == ([True], [False, False])
    nothing = careful.look(replace(opened, line=replace(opened.line, shaped=0.0, strings={})))
    assert careful.answer(nothing)[0] == Unread(reason=Reason.NOT_FIVE_DIGITS)


@pytest.mark.real
def test_a_page_turned_over_reads_as_one_that_lay_so(reader, pages):
    for page in pages[:8]:
        turned = reader.turn(reader.open(np.ascontiguousarray(page[::-1, ::-1])))
        upright = reader.open(page)
        assert np.array_equal(turned.sheet.page, page) == np.array_equal(upright.sheet.page, page)
        # An odd row or column is left out at the other end.
        (text, share), (other, _) = reader.likeliest(turned.line), reader.likeliest(upright.line)
        assert share < 0.9 or text == other
    blank = reader.open(np.full((60, 200), 230, np.uint8))
    assert reader.turn(blank) is blank


def test_without_a_network_nothing_is_read_at_a_glance(tiny, pages):
    looker = Looker(tiny.model)
    opened = looker.open(pages[0])
    assert (opened.line, looker.glance(opened)) == (None, None)
    assert looker.see(opened)[-1].candidates == looker.look(opened)[-1].candidates
