"""Training the network needs PyTorch, which is no part of the tests' installation.

These run where it is there.
"""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is only needed to train a network")

from floating import frames_of  # noqa: E402

from zipocr.line.ctc import prefix_beam_search  # noqa: E402
from zipocr.line.network import (  # noqa: E402
    FIRST,
    PIXELS_PER_STEP,
    SECOND,
    Network,
    array_shapes,
    ranges_name,
)
from zipocr.training.fit.line_samples import Line, to_labels  # noqa: E402
from zipocr.training.fit.network import (  # noqa: E402
    Learner,
    TrainableNetwork,
    TrainingPlan,
    augment_line,
    bend_line,
    fit_network,
    grow,
    take_over,
    to_arrays,
)
from zipocr.training.fit.quantization import quantize  # noqa: E402


def line(rng: np.random.Generator, text: str) -> Line:
    """Each digit a bar of its own height and place, as a network can learn in seconds."""
    pixels = np.zeros((2, 32, 20 * len(text) + 20), np.uint8)
    for place, digit in enumerate(text):
        left = 12 + 20 * place + int(rng.integers(-2, 3))
        pixels[:, 4 + 2 * int(digit) : 9 + 2 * int(digit), left : left + 8] = 220
    return Line(pixels=pixels, labels=to_labels(text))


def test_normalization_is_folded_into_the_weights():
    torch.manual_seed(0)
    trained = TrainableNetwork()
    with torch.no_grad():
        trained(
            torch.rand(8, 2, 32, 40)
        )  # gives the batches' means and variances something to remember
        trained.eval()
        pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 60)).astype(np.uint8)
        expected = torch.softmax(
            trained(torch.from_numpy(pixels[None].astype(np.float32) / 255)), 2
        )[0].numpy()
    assert frames_of(to_arrays(trained), pixels) == pytest.approx(expected, abs=2e-3)


def test_a_network_learns_what_is_easy(monkeypatch):
    monkeypatch.setattr("zipocr.training.fit.network.BATCH", 8)
    monkeypatch.setattr(
        "zipocr.training.fit.network.augment_line", lambda _, pixels: pixels.astype(np.float32)
    )
    rng = np.random.default_rng(0)
    lines = [line(rng, "".join(map(str, rng.integers(0, 10, 3)))) for _ in range(120)]
    told: list[str] = []
    fitted = fit_network(lines, TrainingPlan(epochs=14), seed=0, jobs=1, report=told.append)
    network = Network.from_arrays(quantize(fitted, FIRST, [one.pixels for one in lines]))
    assert len(told) == 14
    right = sum(
        next(iter(prefix_beam_search(network.frames(network.features(one.pixels)))))
        == tuple(one.labels)
        for one in lines
    )
    assert right > 60


def test_an_interrupted_training_ends_as_if_it_had_not_been_interrupted(tmp_path, monkeypatch):
    monkeypatch.setattr("zipocr.training.fit.network.BATCH", 8)
    rng = np.random.default_rng(0)
    lines = [line(rng, "".join(map(str, rng.integers(0, 10, 3)))) for _ in range(40)]

    def fit(report, checkpoint):
        plan = TrainingPlan(epochs=3)
        return fit_network(
            lines, plan, seed=0, jobs=1, report=report, checkpoint=tmp_path / checkpoint
        )

    def interrupt(told):
        if told.startswith("epoch 2"):
            raise KeyboardInterrupt

    whole = fit(lambda _: None, "whole.pt")
    with pytest.raises(KeyboardInterrupt):
        fit(interrupt, "pieces.pt")
    told: list[str] = []
    resumed = fit(told.append, "pieces.pt")
    assert [one.split(":")[0] for one in told] == ["epoch 2 of 3", "epoch 3 of 3"]
    assert all(np.array_equal(whole[name], resumed[name]) for name in whole)


def test_a_network_that_is_taken_over_reads_as_it_did_while_it_learns():
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    lines = [line(rng, "".join(map(str, rng.integers(0, 10, 3)))) for _ in range(60)]
    arrays = to_arrays(Learner(len(lines), TrainingPlan(epochs=1), 0).network)
    network = TrainableNetwork().train()
    take_over(network, arrays, lines)
    network.drop.p = 0.0
    pixels = torch.from_numpy(np.stack([one.pixels for one in lines]).astype(np.float32) / 255)
    seen = torch.softmax(network(pixels), 2)[0].detach().numpy()
    assert seen == pytest.approx(frames_of(arrays, lines[0].pixels), abs=0.02)


def test_the_second_network_says_the_same_as_the_first_before_it_learns_on():
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    arrays = to_arrays(TrainableNetwork())
    wide = grow(arrays, seed=3)
    shapes = array_shapes(SECOND)
    shapes.pop(ranges_name(SECOND))
    assert {name: wide[name].shape for name in wide} == shapes
    pixels = line(rng, "402").pixels
    assert frames_of(wide, pixels, SECOND) == pytest.approx(frames_of(arrays, pixels), abs=1e-4)
    halves = np.split(wide["second_network_3_weights"].reshape(128, -1, 64), 2, axis=2)
    assert np.abs(halves[0] - halves[1]).mean() > 0.01


def test_the_second_network_learns_on(monkeypatch):
    monkeypatch.setattr("zipocr.training.fit.network.BATCH", 8)
    rng = np.random.default_rng(0)
    lines = [line(rng, "".join(map(str, rng.integers(0, 10, 3)))) for _ in range(16)]
    start = grow(to_arrays(TrainableNetwork()), seed=0)
    plan = TrainingPlan(epochs=1)
    found = fit_network(
        lines, plan, seed=0, jobs=1, report=lambda _: None, network=SECOND, start=start
    )
    assert {name: found[name].shape for name in found} == {
        name: start[name].shape for name in start
    }


def test_augmenting_keeps_height_and_whole_steps_and_the_line_itself():
    rng = np.random.default_rng(0)
    pixels = line(rng, "402").pixels
    before = pixels.copy()
    for _ in range(30):
        found = augment_line(rng, pixels)
        assert found.shape[:2] == (2, 32)
        assert found.shape[2] % PIXELS_PER_STEP == 0
        assert 0 <= found.min() <= found.max() <= 255
    assert np.array_equal(pixels, before)


def test_some_lines_are_bent_and_keep_their_shape():
    rng = np.random.default_rng(3)
    pixels = line(rng, "02108").pixels
    state = rng.bit_generator.state
    assert bend_line(rng, pixels, 0.0) is pixels
    assert rng.bit_generator.state == state
    bent = [bend_line(np.random.default_rng(seed), pixels, 0.5) for seed in range(40)]
    assert {one.shape for one in bent} == {pixels.shape}
    assert 10 < sum(one is not pixels for one in bent) < 30
    again = bend_line(np.random.default_rng(5), pixels, 1.0)
    np.testing.assert_array_equal(again, bend_line(np.random.default_rng(5), pixels, 1.0))
    change = np.abs(again.astype(int) - pixels).mean()
    assert 0 < change < 40
