from itertools import groupby, product

import numpy as np
import pytest

from zipocr.line.network import BLANK, CLASSES
from zipocr.training.adapt.output_layer import Lines, line_loss, refit_output, spread, to_classes

FEATURES = 4
TEXTS = ["02108", "11", "9-0", "77012"]


@pytest.fixture(scope="module")
def lines():
    """Lines of unlike length, one of them just long enough, with frames that chance fills."""
    rng = np.random.default_rng(0)
    return [rng.normal(size=(length, FEATURES)).astype(np.float32) for length in (9, 3, 7, 12)]


@pytest.fixture(scope="module")
def layer():
    rng = np.random.default_rng(1)
    return rng.normal(size=(CLASSES, FEATURES)).astype(np.float32), rng.normal(size=CLASSES).astype(
        np.float32
    )


def read(classes):
    """What a way over the frames spells: repetitions count once, blanks not at all."""
    return tuple(one for one, _ in groupby(classes) if one != BLANK)


def test_a_text_costs_what_all_ways_to_spell_it_have_together():
    scores = np.log(np.random.default_rng(2).dirichlet(np.ones(CLASSES), size=4))
    for text in ("33", "3", "30", "3-3"):
        chosen = sorted({BLANK, *to_classes(text).tolist()})
        ways = [way for way in product(chosen, repeat=4) if read(way) == tuple(to_classes(text))]
        whole = np.logaddexp.reduce(
            [sum(scores[frame, one] for frame, one in enumerate(way)) for way in ways]
        )
        costs, shares = spread(Lines.of([np.zeros((4, 1), np.float32)], [text]), scores)
        assert costs[0] == pytest.approx(-whole)
        weights = [
            np.exp(sum(scores[frame, one] for frame, one in enumerate(way)) - whole) for way in ways
        ]
        wanted = np.zeros((4, CLASSES))
        for way, weight in zip(ways, weights, strict=True):
            wanted[np.arange(4), list(way)] += weight
        assert shares == pytest.approx(wanted)


def test_lines_cost_the_same_alone_and_side_by_side(lines, layer):
    whole = np.column_stack(layer).astype(float)
    alone = [
        line_loss(Lines.of([one], [text]), whole) for one, text in zip(lines, TEXTS, strict=True)
    ]
    loss, slope = line_loss(Lines.of(lines, TEXTS), whole)
    assert loss == pytest.approx(np.mean([one for one, _ in alone]))
    assert slope == pytest.approx(np.mean([one for _, one in alone], axis=0))


def test_the_slope_is_what_small_steps_find(lines, layer):
    together, whole = Lines.of(lines, TEXTS), np.column_stack(layer).astype(float)
    _, slope = line_loss(together, whole)
    for place in np.ndindex(whole.shape):
        step = np.zeros_like(whole)
        step[place] = 1e-5
        found = (line_loss(together, whole + step)[0] - line_loss(together, whole - step)[0]) / 2e-5
        assert slope[place] == pytest.approx(found, abs=1e-6)


def test_refitting_makes_the_texts_likelier_the_more_the_less_it_is_held(lines, layer):
    together = Lines.of(lines, TEXTS)
    losses = [line_loss(together, np.column_stack(layer).astype(float))[0]]
    for pull in (10.0, 0.1, 0.001):
        weights, bias = refit_output(lines, TEXTS, *layer, pull)
        assert (weights.shape, weights.dtype, bias.shape, bias.dtype) == (
            (CLASSES, FEATURES),
            np.float32,
            (CLASSES,),
            np.float32,
        )
        losses.append(line_loss(together, np.column_stack([weights, bias]).astype(float))[0])
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0] / 5


def test_a_strong_pull_leaves_all_as_it_was(lines, layer):
    weights, bias = refit_output(lines, TEXTS, *layer, 1e7)
    assert weights == pytest.approx(layer[0], abs=1e-4)
    assert bias == pytest.approx(layer[1], abs=1e-4)


def test_a_text_too_long_for_its_frames_is_refused():
    seen = np.zeros((3, FEATURES), np.float32)
    assert Lines.of([seen], ["123"]).lasts.tolist() == [6]
    with pytest.raises(ValueError, match="2 characters do not fit into 2 frames"):
        Lines.of([seen[:2]], ["11"])
