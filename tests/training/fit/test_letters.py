"""Training of the network of letters; needs PyTorch."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is only needed to train a network")

from zipocr.line.network import LETTERS, Network, array_shapes
from zipocr.training.data.datasets import DigitSet
from zipocr.training.fit import letters


def test_it_is_trained_in_pieces_and_can_read(
    all_digits: DigitSet, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    monkeypatch.setattr(letters, "LINES", 12)
    monkeypatch.setattr(letters, "EPOCHS", 1)
    told: list[str] = []

    def train():
        return letters.train_letters(
            all_digits.take(np.arange(600)), jobs=1, report=told.append, checkpoints=tmp_path
        )

    arrays = train()
    assert {name: array.shape for name, array in arrays.items()} == array_shapes(LETTERS)
    (folder,) = tmp_path.iterdir()
    assert {path.suffix for path in folder.iterdir()} == {".npz", ".pt"}
    assert told[:2] == ["composing lines of letters", "training the network of letters"]
    again = train()
    assert all(np.array_equal(arrays[name], again[name]) for name in arrays)
    assert sum(text.startswith("epoch") for text in told) == 1
    network = Network.from_arrays(arrays, LETTERS)
    frames = network.frames(network.features(np.zeros((2, 32, 40), np.uint8)))
    assert frames.shape == (20, 28)
    assert "12 composed lines" in letters.about_letters()
