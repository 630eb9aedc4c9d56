from math import exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zipocr.decode.fusion import (
    MAX_LINE,
    MAX_LOSS,
    MAX_PROPOSED,
    MAX_SUM,
    MAX_WEAKEST,
    Candidate,
    Fusion,
    apply_prior,
    fusion_features,
    posterior,
    propose,
    to_candidates,
    to_matrix,
)
from zipocr.types import Model

texts = st.text("0123456789", min_size=5, max_size=5)


def seen(text: str, line: float = -1.0, *digits: float) -> Candidate:
    return Candidate(
        text=text, line_score=line, regions=tuple(range(len(digits))), log_likelihoods=digits
    )


def scored(text: str, score: float) -> Candidate:
    return Candidate(text=text, line_score=0.0, score=score)


@st.composite
def rivals(draw: st.DrawFn) -> list[Candidate]:
    found = draw(st.lists(texts, min_size=1, max_size=8, unique=True))
    return [scored(text, draw(st.floats(-60, 0))) for text in found]


def table(*rows: dict[int, float]) -> np.ndarray:
    """Log-likelihoods of regions: as given for the named digits, -9 for all others."""
    found = np.full((len(rows), 10), -9, np.float32)
    for row, digits in zip(found, rows, strict=True):
        for digit, value in digits.items():
            row[digit] = value
    return found


def test_features_are_the_line_the_digits_the_weakest_digit_and_missing_regions():
    assert fusion_features(seen("02108", -2.5, -0.1, -0.2, -0.3, -1.4, 0.0)) == pytest.approx(
        (-2.5, -2.0, -1.4, 0)
    )
    assert fusion_features(seen("02108", -2.5)) == (-2.5, 0, 0, 1)


def test_nine_digits_score_like_five_of_the_same_quality():
    five, nine = seen("02108", 0, *[-0.4] * 5), seen("021081234", 0, *[-0.4] * 9)
    assert nine.digits_score == pytest.approx(five.digits_score) == pytest.approx(-2.0)
    assert nine.weakest == five.weakest


def test_the_penalty_from_either_recognizer_is_bounded():
    worst = seen("02108", -900.0, *[-900.0] * 5)
    assert fusion_features(worst) == (-MAX_LINE, -MAX_SUM, -MAX_WEAKEST, 0)
    # A single digit does not use up the whole penalty of its string.
    assert seen("02108", 0, -900.0, 0, 0, 0, 0).digits_score == -MAX_WEAKEST


def test_candidates_are_scored_with_the_model_weights_and_sorted_best_first():
    model = Model(arrays={"fusion": np.array([2.0, 0.5, 0.25, -3.0])}, card={})
    fusion = Fusion.from_model(model)
    ranked = fusion.rank([seen("11111", -2.0), seen("22222", -1.0, -1.0, -2.0, 0, 0, 0)])
    assert [one.text for one in ranked] == ["22222", "11111"]
    assert [one.score for one in ranked] == pytest.approx([-2.0 - 1.5 - 0.5, -4.0 - 3.0])


def test_the_training_matrix_has_the_features_used_for_ranking():
    some = [seen("11111", -2.0), seen("22222", -1.0, -1.0, -2.0, 0, 0, 0)]
    weights = np.array([0.9, 0.4, 0.7, -1.5])
    line, digits, weakest, no_regions = weights.tolist()
    fusion = Fusion(line=line, digits=digits, weakest=weakest, no_regions=no_regions)
    scores = {one.text: one.score for one in fusion.rank(some)}
    assert (to_matrix(some) @ weights).tolist() == pytest.approx([scores[one.text] for one in some])
    assert to_matrix([]).shape == (0, 4)


def test_ties_are_ordered_by_digits():
    fusion = Fusion(line=1, digits=1, weakest=1, no_regions=1)
    some = [seen(text) for text in ("70001", "10009", "40005")]
    assert [one.text for one in fusion.rank(some)] == ["10009", "40005", "70001"]


def test_each_segmentation_proposes_its_best_string_once():
    found = table({1: -0.1}, {2: -0.1}, {3: -0.1}, {4: -0.1}, {5: -0.1}, {6: -0.1})
    strings = [(0, 1, 2, 3, 4), (1, 2, 3, 4, 5), (5, 1, 2, 3, 4), (1, 2, 3, 4, 5)]
    assert propose(strings, found) == ["12345", "23456", "62345"]
    assert propose([], np.zeros((0, 10), np.float32)) == []


def test_second_choices_are_proposed_one_at_a_time_in_order_of_loss():
    found = table({1: 0, 7: -3}, {2: 0}, {3: 0, 8: -1, 5: -2}, {4: 0}, {5: 0, 6: -1})
    # Equal losses are ordered from left to right.
    others = ["12845", "12346", "12545", "72345"]
    assert propose([(0, 1, 2, 3, 4)], found) == ["12345", *others]


@pytest.mark.parametrize(("loss", "is_near"), [(MAX_LOSS - 0.25, True), (MAX_LOSS, False)])
def test_a_second_choice_is_proposed_only_below_the_loss_limit(loss, is_near):
    found = table({1: -1, 7: -1 - loss}, {2: -1}, {3: -1}, {4: -1}, {5: -1})
    proposed = propose([(0, 1, 2, 3, 4)], found)
    assert proposed == (["12345", "72345"] if is_near else ["12345"])


def test_each_segmentation_proposes_a_limited_number_of_strings():
    near = {digit: -digit / 4 for digit in range(10)}
    found = table(*[near] * 6)
    proposed = propose([(0, 1, 2, 3, 4), (1, 2, 3, 4, 5)], found)
    assert MAX_PROPOSED == 1 + 5
    five = ["00000", "10000", "01000", "00100", "00010", "00001"]
    assert proposed == five * 2


def test_a_string_uses_the_best_fitting_regions_of_its_length():
    found = table(*[{1: -1.0}] * 5, *[{1: -0.5}] * 5, *[{1: -0.1}] * 9)
    strings = [tuple(range(5)), tuple(range(5, 10)), tuple(range(10, 19))]
    five, nine, other = to_candidates(
        {"11111": -0.3, "111111111": -4.0, "11112": -2.0}, strings, found
    )
    assert (five.text, five.line_score, five.regions) == ("11111", -0.3, strings[1])
    assert five.log_likelihoods == pytest.approx([-0.5] * 5)
    assert (nine.line_score, nine.regions) == (-4.0, strings[2])
    assert other.log_likelihoods == pytest.approx([-0.5] * 4 + [-9])


def test_a_string_without_regions_of_its_length_has_none():
    (one,) = to_candidates({"021081234": -1.0}, [tuple(range(5))], table(*[{1: -1.0}] * 5))
    assert (one.regions, one.log_likelihoods, one.weakest, one.digits_score) == ((), (), 0, 0)


def test_each_digit_is_scored_on_its_own_region():
    found = table({0: -0.1}, {2: -0.2}, {1: -0.3}, {0: -0.4}, {8: -0.5})
    (one,) = to_candidates({"02108": 0.0}, [(0, 1, 2, 3, 4)], found)
    assert one.log_likelihoods == pytest.approx([-0.1, -0.2, -0.3, -0.4, -0.5])


@given(rivals())
def test_posteriors_sum_to_one_and_follow_the_scores(candidates):
    shares = posterior(candidates)
    assert sum(shares) == pytest.approx(1)
    for one, share in zip(candidates, shares, strict=True):
        assert share / shares[0] == pytest.approx(exp(one.score - candidates[0].score), rel=1e-6)


def test_posteriors_do_not_depend_on_a_common_offset_of_all_scores():
    for common in (0.0, -5000.0):
        some = [scored("00000", common), scored("00001", common - log(3))]
        assert posterior(some) == pytest.approx([0.75, 0.25])


@given(rivals(), st.sets(texts), st.floats(0, 12))
def test_the_prior_is_added_only_to_listed_strings(candidates, listed, weight):
    own = dict.fromkeys(listed | {one.text for one in candidates[::2]}, "somewhere")
    ranked = apply_prior(candidates, own, weight)
    before = {one.text: one.score for one in candidates}
    assert {one.text for one in ranked} == before.keys()
    for one in ranked:
        assert one.score == before[one.text] + weight * (one.text in own)
    assert [one.score for one in ranked] == sorted((one.score for one in ranked), reverse=True)


@pytest.mark.parametrize(("lead", "winner"), [(3.9, "02108"), (4.1, "02188")])
def test_a_listed_string_wins_only_within_the_prior(lead, winner):
    some = [scored("02188", 0.0), scored("02108", -lead)]
    assert apply_prior(some, {"02108": None}, 4.0)[0].text == winner


def test_the_directory_looks_up_the_first_five_of_nine_digits():
    some = [scored("02188", -0.5), scored("021081234", -1.0)]
    assert [one.text for one in apply_prior(some, {"02108": None}, 2.0)] == ["021081234", "02188"]


@given(rivals())
def test_without_a_directory_scores_are_unchanged(candidates):
    ranked = apply_prior(candidates, {}, 4.0)
    assert sorted(ranked, key=lambda one: one.text) == sorted(candidates, key=lambda one: one.text)
