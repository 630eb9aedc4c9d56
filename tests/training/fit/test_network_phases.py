import sys
from dataclasses import replace

import numpy as np
import pytest

from zipocr.errors import InputError
from zipocr.line.network import FIRST, SECOND, THIRD, Network, array_shapes, ranges_name
from zipocr.models.model_file import NETWORK
from zipocr.training.data.datasets import DigitSet
from zipocr.training.fit import network_phases
from zipocr.training.fit.svm import Recipe
from zipocr.types import Model

ARRAYS = {
    name: np.full(shape, place, np.float32) for place, (name, shape) in enumerate(NETWORK.items())
}


def trainer(digits: DigitSet, **options) -> network_phases.NetworkTrainer:
    known = {"recipe": Recipe(), "jobs": 1, "report": lambda _: None, **options}
    return network_phases.NetworkTrainer(digits=digits, extra=digits, **known)


def test_a_network_is_taken_over_as_it_is_and_nothing_else_of_the_model():
    model = Model(arrays={**ARRAYS, "mean": np.zeros(3), "fusion": np.ones(4)}, card={})
    taken = network_phases.taken_networks(model)
    assert taken.keys() == NETWORK.keys()
    assert all(np.array_equal(taken[name], ARRAYS[name]) for name in NETWORK)
    assert (
        Network.from_model(replace(model, arrays=taken)).class_weights.shape
        == NETWORK["network_out_weights"]
    )


@pytest.mark.parametrize("names", [(SECOND,), (SECOND, THIRD)])
def test_larger_networks_are_taken_over_too(names):
    shapes = {key: shape for name in names for key, shape in array_shapes(name).items()}
    larger = {key: np.zeros(shape) for key, shape in shapes.items()}
    taken = network_phases.taken_networks(Model(arrays={**ARRAYS, **larger}, card={}))
    assert taken.keys() == {*NETWORK, *shapes}


@pytest.mark.parametrize("lacking", [set(NETWORK), {"network_3_biases"}, {"network_out_weights"}])
def test_a_model_without_a_whole_network_has_none_to_take_over(lacking):
    model = Model(
        arrays={name: array for name, array in ARRAYS.items() if name not in lacking}, card={}
    )
    with pytest.raises(InputError, match="such as mail"):
        network_phases.taken_networks(model)


def test_without_pytorch_a_network_is_refused_with_the_cure_before_any_line_is_composed(
    all_digits, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "torch", None)  # as if it were not installed
    monkeypatch.delitem(sys.modules, "zipocr.training.fit.network", raising=False)
    told: list[str] = []
    with pytest.raises(InputError, match=r"pip install 'zipocr\[network\]'.*--network"):
        trainer(all_digits, report=told.append).train()
    assert not told


def test_each_phase_goes_on_from_what_the_one_before_learnt_and_keeps_its_own_file(
    all_digits, monkeypatch: pytest.MonkeyPatch, tmp_path
):
    pytest.importorskip("torch", reason="PyTorch is only needed to train a network")
    asked = []

    def fit(lines, course, *, start, checkpoint, **_):
        asked.append((len(lines), course.epochs, dict(start), checkpoint))
        return {"learnt": np.array(len(asked))}

    monkeypatch.setattr("zipocr.training.fit.network.fit_network", fit)
    phases = [network_phases.Phase(lines=3, wide=wide, epochs=1, rate=0.1) for wide in (0, 4)]
    monkeypatch.setitem(network_phases.PHASES_OF, FIRST, phases)

    def train(**sources):
        return trainer(all_digits, checkpoints=tmp_path, **sources).train()

    assert train()["learnt"] == 2
    (few, _, first, file), (more, _, second, other) = asked
    assert few <= 3 < more <= 7
    assert (first, second["learnt"]) == ({}, 1)
    assert file != other
    assert file.parent == other.parent == tmp_path
    assert len(list(tmp_path.glob("lines-*"))) == 2
    train()
    assert [one[3] for one in asked[2:]] == [file, other]
    train(mail=all_digits)
    assert not {one[3] for one in asked[4:]} & {file, other}


def test_the_second_network_grows_out_of_the_first_and_the_third_goes_on_from_it(
    all_digits, monkeypatch: pytest.MonkeyPatch
):
    pytest.importorskip("torch", reason="PyTorch is only needed to train a network")
    asked = []

    def fit(lines, course, *, start, network, **_):
        asked.append((len(lines), course.epochs, network))
        return start

    monkeypatch.setattr("zipocr.training.fit.network.fit_network", fit)
    for count, name in enumerate((SECOND, THIRD), start=3):
        phases = (network_phases.Phase(wide=count, epochs=count, rate=0.1),)
        monkeypatch.setitem(network_phases.PHASES_OF, name, phases)

    second = trainer(all_digits).train(ARRAYS)
    third = trainer(all_digits).train(second)
    assert second["second_network_1_weights"].shape == (32, 18)
    assert len(second) == len(third) == len(array_shapes(SECOND)) - 1
    for name, other in zip(array_shapes(SECOND), array_shapes(THIRD), strict=True):
        if name != ranges_name(SECOND):
            np.testing.assert_array_equal(second[name], third[other])
    assert [(epochs, network) for _, epochs, network in asked] == [(3, SECOND), (4, THIRD)]
    assert [count <= epochs for count, epochs, _ in asked] == [True, True]


def test_the_first_network_ends_with_a_phase_that_the_larger_ones_do_not_see(
    all_digits, monkeypatch: pytest.MonkeyPatch
):
    pytest.importorskip("torch", reason="PyTorch is only needed to train a network")
    asked = []

    def fit(lines, _course, *, start, network, **_):
        asked.append((network, len(lines)))
        new = start or {
            name: np.ones(shape)
            for name, shape in array_shapes(network).items()
            if name != ranges_name(network)
        }
        return {name: np.asarray(array, np.float32) + 1 for name, array in new.items()}

    monkeypatch.setattr("zipocr.training.fit.network.fit_network", fit)
    phase = network_phases.Phase(lines=1, epochs=1, rate=0.1)
    for name in (FIRST, SECOND, THIRD):
        monkeypatch.setitem(network_phases.PHASES_OF, name, (phase,))
    monkeypatch.setattr(network_phases, "LAST_PHASE", replace(phase, lines=6))
    own, about = trainer(all_digits).take_or_train(None, larger=False)
    assert own.keys() == {key for name in (FIRST, SECOND, THIRD) for key in array_shapes(name)}
    assert "then 1 rounds on 6 lines" in about["network"]
    assert [network for network, _ in asked] == [FIRST, FIRST, SECOND, THIRD]
    assert asked[1][1] > asked[0][1]
    assert all((own[ranges_name(name)] > 0).all() for name in (FIRST, SECOND, THIRD))
    biases = [own[f"{name}_out_biases"].mean() for name in (FIRST, SECOND, THIRD)]
    assert biases == pytest.approx([2 + network_phases.NEW_WEIGHTS, 3, 4])
    kept, _ = trainer(all_digits).take_or_train(
        Model(arrays=own, card={"data": about}), larger=True
    )
    for name in array_shapes(FIRST):
        np.testing.assert_array_equal(kept[name], own[name])
    assert [network for network, _ in asked[4:]] == [SECOND, THIRD]


def test_weights_are_averaged_in_their_own_type():
    old = {"weights": np.zeros(2, np.float16), "biases": np.ones(2, np.float32)}
    new = {"weights": np.ones(2, np.float16), "biases": np.zeros(2, np.float32)}
    mixed = network_phases.averaged(old, new, 0.75)
    assert [array.dtype for array in mixed.values()] == [np.float16, np.float32]
    np.testing.assert_allclose(mixed["weights"], 0.75)
    np.testing.assert_allclose(mixed["biases"], 0.25)
