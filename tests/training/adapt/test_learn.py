from pathlib import Path

import cv2
import numpy as np
import pytest

from zipocr.errors import InputError
from zipocr.models.model_file import DIGEST, load_model, save_model
from zipocr.training.adapt.learn import card_of, deal, is_better, learn, rehearsal_set
from zipocr.training.benchmark.measure import Crop, Truth, judges, read_crops
from zipocr.training.benchmark.metrics import Change
from zipocr.training.synthesis.compose import Composer

PAGES = 24
# Fewer parts and pulls than in use, which only takes longer.
FEW_FOLDS, ONE_PULL = 3, (1.0,)
# A hand that writes its 3 like others their 8, and the other way round.
SWAPPED = str.maketrans("38", "83")


def pages(folder: Path, digits, seed: int, count: int) -> list[Crop]:
    composer = Composer(digits, seed=seed, kinds={"plain": 1})
    crops = []
    for number in range(count):
        composed = composer.nth(number)
        path = folder / f"{seed}-{number}.png"
        cv2.imwrite(str(path), composed.image)
        text = composed.text.translate(SWAPPED)
        crops.append(
            Crop(path=path, page=1, truth=Truth(zip=text[:5], plus4=text[5:], kind=path.name))
        )
    return crops


@pytest.fixture(scope="module", autouse=True)
def _quick():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("zipocr.training.adapt.learn.FOLDS", FEW_FOLDS)
        patch.setattr("zipocr.training.adapt.network_adaptation.PULLS", ONE_PULL)
        yield


@pytest.fixture(scope="module")
def said():
    return []


@pytest.fixture(scope="module")
def found(tiny, all_digits, tmp_path_factory, said):
    """What the tiny model makes of a strange hand."""
    return learn(
        tiny.model,
        pages(tmp_path_factory.mktemp("pages"), all_digits, 500, PAGES),
        jobs=1,
        seed=0,
        report=said.append,
    )


def test_a_strange_hand_is_learnt_and_the_gain_is_measured_on_pages_that_taught_nothing(found):
    assert found.pages == PAGES
    assert found.taught > PAGES / 2
    assert found.without.difference > 0.1
    assert is_better(found.without)


def test_the_gain_is_there_on_further_pages_too(tiny, all_digits, tmp_path, found):
    crops = pages(tmp_path, all_digits, 501, 12)
    before, after = (
        sum(one.is_right for one in read_crops(judges(model), crops, jobs=1)[1])
        for model in (tiny.model, found.model)
    )
    assert after > before


def test_the_model_can_be_saved_and_says_what_it_learnt(tmp_path, found):
    path = tmp_path / "mine.npz"
    save_model(path, card_of(found, base="mail", digest="abc"))
    card = load_model(str(path)).card
    learnt = card["learnt"]
    assert (learnt["base"], learnt["base sha256"]) == ("mail", "abc")
    assert (learnt["corrected pages"], learnt["pages learnt from"]) == (found.pages, found.taught)
    assert card["support_vectors"] == len(found.model.arrays["support"])
    assert DIGEST in card
    # So few pages say nothing of certainty.
    assert all("too few" in note for note in learnt["confidence"])


def test_learning_again_gives_the_same_model(tiny, all_digits, tmp_path, found):
    again = learn(
        tiny.model, pages(tmp_path, all_digits, 500, PAGES), jobs=1, seed=0, report=lambda _: None
    )
    assert again.without == found.without
    assert all(
        np.array_equal(array, found.model.arrays[name])
        for name, array in again.model.arrays.items()
    )


def test_what_happens_is_told(said, found):
    assert said[0] == f"reading {PAGES} pages"
    assert (
        said[1]
        == f"0 pages cannot be opened; on {PAGES - found.taught} the known ZIP was not found in the ink"
    )
    assert sum(line.startswith("reading part") for line in said) == FEW_FOLDS


def test_too_few_pages_are_refused(tiny, all_digits, tmp_path):
    with pytest.raises(InputError, match="too few"):
        learn(
            tiny.model, pages(tmp_path, all_digits, 502, 3), jobs=1, seed=0, report=lambda _: None
        )


def test_pages_of_a_file_stay_together_and_parts_are_of_a_size():
    files = [f"{number // 3}.tif" for number in range(180)]
    parts = deal(files, 7)
    assert all(len(set(parts[start : start + 3].tolist())) == 1 for start in range(0, 180, 3))
    assert np.bincount(parts).tolist() == [60] * FEW_FOLDS
    assert not np.array_equal(parts, deal(files, 8))


def test_a_difference_that_chance_explains_is_no_gain():
    assert is_better(Change(now=0.9, difference=0.03, half_width=0.02))
    assert not is_better(Change(now=0.9, difference=0.02, half_width=0.02))
    assert not is_better(Change(now=0.9, difference=0.0, half_width=0.0))


def test_what_guards_the_old_knowledge_are_digits_the_base_was_made_from(tiny):
    arrays = tiny.model.arrays
    seen = rehearsal_set(arrays)
    assert set(seen.labels.tolist()) == set(range(10))
    assert len(seen) == min(2000, arrays["support_counts"][:10].sum())
    assert np.isin(
        seen.features.view("V120").ravel(),
        arrays["support"].astype(np.float32).view("V120").ravel(),
    ).all()
