import cv2
import numpy as np
import pytest
from drawings import lay, write

from zipocr.model_file import load_model
from zipocr.prepare import Binarization, find_ink, to_working_size
from zipocr.reader import Reader
from zipocr.training.ablation import (
    PARTS,
    AllWhole,
    FreeDirt,
    LineAlone,
    NoCutsThrough,
    NoGlance,
    NoNetwork,
    OneThreshold,
    RulesLeft,
    SeenOnce,
    ablate,
)
from zipocr.training.compose import Composer
from zipocr.training.measure import Crop, Truth


@pytest.fixture(scope="module")
def pages(all_digits) -> list[np.ndarray]:
    composers = [Composer(all_digits, seed=21, kinds={kind: 1}) for kind in ("touching", "noisy", "boxed", "split")]
    return [composer.nth(number).image for composer in composers for number in range(2)]


def looked(reader: Reader, pages: list[np.ndarray]) -> list:
    return [view for page in pages for view in reader.look(reader.open(page))]


def scores(reader: Reader, pages: list[np.ndarray]) -> list[list[float]]:
    pooled = [reader.pool(reader.look(reader.open(page))) for page in pages]
    return [[one.score for one in found.plain] for found in pooled if found]


def test_a_reader_that_lacks_nothing_reads_as_before(tiny, pages):
    class Whole(Reader):
        pass

    assert [Whole(tiny.model).read(page) for page in pages] == [Reader(tiny.model).read(page) for page in pages]


def test_every_part_makes_some_difference_to_what_is_seen(tiny, pages):
    full = scores(Reader(tiny.model), pages)
    for part, kind in PARTS.items():
        if kind not in {NoNetwork, LineAlone, NoGlance, SeenOnce}:
            assert scores(kind(tiny.model), pages) != full, part


@pytest.mark.real
def test_network_and_support_vectors_each_make_some_difference_to_a_model_that_has_both(pages):
    model = load_model("mail")
    full = scores(Reader(model), pages)
    for kind in (NoNetwork, LineAlone, SeenOnce):
        assert scores(kind(model), pages) != full, kind
    assert any(Reader(model).glance(Reader(model).open(page)) for page in pages)
    assert not any(NoGlance(model).glance(NoGlance(model).open(page)) for page in pages)
    assert all(view.line is None for view in looked(NoNetwork(model), pages))


def test_without_the_second_threshold_there_is_one_view_at_most(tiny, pages):
    assert any(len(Reader(tiny.model).look(Reader(tiny.model).open(page))) > 1 for page in pages)
    assert all(len(OneThreshold(tiny.model).look(OneThreshold(tiny.model).open(page))) <= 1 for page in pages)


def test_without_cuts_through_components_no_cut_costs_ink(tiny, pages):
    assert any(view.seen.cuts.costs.any() for view in looked(Reader(tiny.model), pages))
    assert not any(view.seen.cuts.costs.any() for view in looked(NoCutsThrough(tiny.model), pages))


def test_free_dirt_leaves_the_lattice_as_it_is_but_for_its_prices(tiny, pages):
    inked = find_ink(to_working_size(pages[0]), Binarization.OTSU)
    dear, free = (kind(tiny.model).segment(inked, through=True).lattice for kind in (Reader, FreeDirt))
    assert dear.skips[:, 2].any()
    assert not free.skips[:, 2].any()
    assert not free.prices.any()
    assert np.array_equal(dear.skips[:, :2], free.skips[:, :2])
    assert np.array_equal(dear.starts, free.starts)


def test_where_all_is_whole_no_region_is_worth_less_than_its_digit(tiny, pages):
    inked = find_ink(to_working_size(pages[0]), Binarization.OTSU)
    partial, whole = (kind(tiny.model).decode(kind(tiny.model).segment(inked, through=True)) for kind in (Reader, AllWhole))
    least, most = partial.gains.max(axis=1), whole.gains.max(axis=1)
    assert (most >= least).all()
    assert (most > least).any()
    assert np.exp(whole.gains.astype(float)).sum(axis=1) == pytest.approx(np.exp(-whole.seen.lattice.prices))


def test_rules_are_left_where_they_are(tiny):
    written = write("02346", margin=30)
    ink = written.ink.copy()
    ink[-12:-9] = True
    sheet = to_working_size(lay(ink.astype(np.float32), 235))
    gone, left = (kind(tiny.model).find_ink(sheet, Binarization.OTSU).ink for kind in (Reader, RulesLeft))
    assert left[-12:-9].mean() > 0.9
    assert gone[-12:-9].mean() < 0.1


def test_ablating_answers_every_crop_without_every_part(tiny, tmp_path):
    cv2.imwrite(str(tmp_path / "page.png"), lay(write("02346").ink.astype(np.float32), 235))
    crops = [Crop(path=tmp_path / "page.png", page=1, truth=Truth(zip=text, plus4=None, kind="")) for text in ("02346", "", "02347")]
    found = ablate(tiny.model, crops, jobs=1)
    assert [*found] == [*PARTS]
    for answers in found.values():
        for one in answers:
            assert len(one) == 2
            assert not all(answer.is_right for answer in one)
