from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zipocr.decode.confidence import LISTED_WEIGHT, ConfidenceModel, digit_shares, evidence, listed_weight, posterior, rank
from zipocr.decode.strings import Candidate
from zipocr.segment.lattice import GEOMETRY
from zipocr.types import Box, Lattice, Model, Region

EDGES = (0, 1, 2, 3, 4)
texts = st.text("0123456789", min_size=5, max_size=5)
scores = st.floats(-60, 0)


def candidate(text: str, score: float) -> Candidate:
    return Candidate(text=text, edges=EDGES, score=score)


@st.composite
def strings(draw, least: int = 1):
    """Distinct strings, best first, as decoding gives them."""
    spelled = draw(st.lists(texts, min_size=least, max_size=12, unique=True))
    worth = sorted(draw(st.lists(scores, min_size=len(spelled), max_size=len(spelled))), reverse=True)
    return tuple(candidate(text, score) for text, score in zip(spelled, worth, strict=True))


def weight() -> float:
    """What being listed is worth, in nats."""
    return rank([candidate("02108", -1.0)], lambda _: True)[0].score + 1.0


def lattice(geometry: np.ndarray) -> Lattice:
    count = len(geometry)
    region = Region(box=Box(top=0, left=0, bottom=1, right=1), ink=np.ones((1, 1), bool))
    return Lattice(
        cut_count=count + 1,
        starts=np.arange(count),
        ends=np.arange(1, count + 1),
        regions=(region,) * count,
        geometry=geometry.astype(np.float32),
        prices=np.zeros(count),
        skips=np.zeros((0, 3)),
    )


def test_being_listed_is_worth_something_but_not_everything():
    assert 1 < weight() < 8


@pytest.mark.parametrize(("lead", "winner"), [(-0.01, "02108"), (0.01, "02188")])
def test_a_listed_string_wins_within_its_weight_and_no_further(lead, winner):
    candidates = (candidate("02188", 0.0), candidate("02108", -weight() - lead))
    assert rank(candidates, {"02108"}.__contains__)[0].text == winner


def test_the_packaged_directory_weighs_as_much_as_the_models_were_fitted_with():
    assert weight() == pytest.approx(LISTED_WEIGHT)
    assert np.exp(LISTED_WEIGHT) == pytest.approx((0.98 / 42_789) / (0.02 / 57_211))


@given(st.integers(1, 100_000), st.integers(1, 100_000))
def test_the_shorter_a_list_the_more_it_says_and_it_never_speaks_against_its_own(one, other):
    short, long = sorted((one, other))
    assert listed_weight(short) >= listed_weight(long) >= 0


def test_a_list_of_nearly_all_strings_says_nothing():
    assert listed_weight(98_000) == listed_weight(100_000) == 0


@pytest.mark.parametrize(("lead", "winner"), [(-0.01, "02108"), (0.01, "02188")])
def test_a_list_of_one_s_own_weighs_by_its_length(lead, winner):
    own = listed_weight(100)
    assert own > LISTED_WEIGHT
    candidates = (candidate("02188", 0.0), candidate("02108", -own - lead))
    assert rank(candidates, {"02108"}.__contains__, own)[0].text == winner


@given(strings())
def test_without_a_directory_nothing_changes(candidates):
    assert rank(candidates, None) == candidates


@given(strings(), st.sets(texts))
def test_ranking_loses_no_string_and_weighs_only_the_listed(candidates, listed):
    listed |= {one.text for one in candidates[::2]}
    ranked = rank(candidates, listed.__contains__)
    assert [one.score for one in ranked] == sorted((one.score for one in ranked), reverse=True)
    before = {one.text: one for one in candidates}
    assert {one.text for one in ranked} == before.keys()
    for one in ranked:
        assert one.score - before[one.text].score == pytest.approx(weight() * (one.text in listed))
        assert one.edges == before[one.text].edges


@given(strings(), st.booleans())
def test_when_all_are_alike_to_the_directory_the_order_stays(candidates, listed):
    ranked = rank(candidates, lambda _: listed)
    assert [one.score for one in ranked] == pytest.approx([one.score + weight() * listed for one in candidates])


def test_equals_are_ranked_in_the_order_of_their_digits():
    candidates = [candidate(text, -1.0) for text in ("70001", "10009", "40005")]
    assert [one.text for one in rank(candidates, lambda _: False)] == ["10009", "40005", "70001"]


@given(strings(), st.floats(0.3, 5))
def test_shares_sum_to_one_and_fall(candidates, temperature):
    shares = np.array(posterior(candidates, temperature))
    assert shares.shape == (len(candidates),)
    assert shares.sum() == pytest.approx(1, abs=1e-5)
    assert (shares >= 0).all()
    assert (np.diff(shares) <= 1e-7).all()


@given(strings(least=2))
def test_a_higher_temperature_is_less_sure(candidates):
    assert posterior(candidates, 3.0)[0] <= posterior(candidates, 1.0)[0] + 1e-6


def test_shares_are_as_the_scores_say():
    assert posterior([candidate("00000", 0.0), candidate("00001", -np.log(3))], 1.0) == pytest.approx([0.75, 0.25])


@given(strings(), st.floats(0.3, 5))
def test_the_shares_of_the_digits_at_a_place_sum_to_one(candidates, temperature):
    shares = posterior(candidates, temperature)
    table = np.array(digit_shares(candidates, shares))
    assert table.shape == (5, 10)
    assert (table >= 0).all()
    assert table.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert all(table[place, int(digit)] >= shares[0] - 1e-6 for place, digit in enumerate(candidates[0].text))


def test_a_digit_has_the_shares_of_all_strings_that_have_it():
    table = np.array(digit_shares([candidate("00000", 0), candidate("00001", 0), candidate("90001", 0)], [0.5, 0.3, 0.2]))
    assert table[0, [0, 9]] == pytest.approx([0.8, 0.2])
    assert table[4, [0, 1]] == pytest.approx([0.5, 0.5])
    assert table[2, 0] == pytest.approx(1)


def test_a_digit_that_only_nine_have_has_their_shares_alone():
    candidates = [candidate("021081234", 0), candidate("02108", 0), candidate("021087234", 0)]
    table = np.array(digit_shares(candidates, [0.6, 0.3, 0.1]))
    assert table.shape == (9, 10)
    assert table[0, 0] == pytest.approx(1)
    assert table[5, [1, 7]] == pytest.approx([0.6, 0.1])
    assert np.shape(digit_shares(candidates[1:], [0.3, 0.1])) == (5, 10)


def test_the_directory_looks_at_the_first_five_of_nine():
    nine, five = candidate("021081234", -1.0), candidate("02188", -0.5)
    assert [one.text for one in rank([five, nine], {"02108"}.__contains__)] == ["021081234", "02188"]


def test_nine_digits_have_the_evidence_of_five_as_good():
    def seen(text: str) -> np.ndarray:
        prior = -3.0 if len(text) > 5 else 0.0
        gains = np.full((len(text), 10), -9, np.float32)
        gains[np.arange(len(text)), [int(letter) for letter in text]] = -0.2
        shape = np.zeros((len(text), GEOMETRY))
        shape[:, 6] = 0.3
        best = Candidate(text=text, edges=tuple(range(len(text))), score=-0.2 * len(text) + prior - 1.5, prior=prior)
        rival = replace(best, text=text[:-1] + "9", score=best.score - 4)
        return evidence((best, rival), (best, rival), lattice(shape), gains)

    assert seen("021081234") == pytest.approx(seen("02108"), abs=1e-5)


@given(strings(), st.sets(texts), st.integers(0, 999))
def test_evidence_is_finite_and_of_one_length(candidates, listed, seed):
    rng = np.random.default_rng(seed)
    gains = rng.uniform(-40, 0, (5, 10)).astype(np.float32)
    shape = lattice(rng.uniform(-5, 5, (5, GEOMETRY)))
    listed |= {one.text for one in candidates[1::2]}
    alone = evidence(candidates[:1], candidates[:1], shape, gains)
    for is_listed in (None, listed.__contains__):
        seen = evidence(rank(candidates, is_listed), candidates, shape, gains)
        assert seen.shape == alone.shape
        assert seen.dtype == np.float32
        assert np.isfinite(seen).all()


def test_evidence_tells_a_clear_string_from_a_doubtful_one():
    gains = np.full((5, 10), -9, np.float32)
    gains[np.arange(5), [0, 2, 1, 0, 8]] = -0.1
    shape = lattice(np.zeros((5, GEOMETRY)))
    clear = (candidate("02108", -0.5), candidate("02188", -20.0))
    doubtful = (candidate("02108", -0.5), candidate("02188", -0.6))
    assert not np.array_equal(evidence(clear, clear, shape, gains), evidence(doubtful, doubtful, shape, gains))


@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3))
def test_a_probability_stays_between_0_and_1_and_rises_with_its_evidence(one, other):
    model = ConfidenceModel(temperature=1.0, weights=np.array([1.0, -1.0], np.float32), bias=0.5)
    low, high = (model.probability(np.array([value, 0.0], np.float32)) for value in sorted((one, other)))
    assert 0 <= low <= high <= 1


def test_no_evidence_leaves_the_bias():
    model = ConfidenceModel(temperature=1.0, weights=np.ones(3, np.float32), bias=np.log(3))
    assert model.probability(np.zeros(3, np.float32)) == pytest.approx(0.75)


def test_reading_with_and_without_a_directory_have_their_own_weights():
    arrays = {
        "temperature": np.array(1.5),
        "confidence_listed": np.array([1, 2, 3], np.float32),
        "confidence_unlisted": np.array([4, 5, 6], np.float32),
    }
    listed, unlisted = (ConfidenceModel.from_model(Model(arrays=arrays, passport={}), use_directory=used) for used in (True, False))
    assert (listed.temperature, listed.weights.tolist(), listed.bias) == (1.5, [1, 2], 3)
    assert (unlisted.temperature, unlisted.weights.tolist(), unlisted.bias) == (1.5, [4, 5], 6)
