import numpy as np
import pytest

from zipocr.errors import InputError
from zipocr.training.fit import recipes
from zipocr.training.fit.svm import Recipe
from zipocr.types import Model


def test_a_model_of_digits_takes_over_no_network():
    with pytest.raises(InputError, match="--network"):
        recipes.build_model(
            "digits",
            recipe=Recipe(),
            jobs=1,
            report=lambda _: None,
            network=Model(arrays={}, card={}),
        )


def test_a_model_of_digits_learns_from_no_digits_of_mail(tmp_path):
    with pytest.raises(InputError, match="--mail-digits"):
        recipes.build_model(
            "digits", recipe=Recipe(), jobs=1, report=lambda _: None, mail=tmp_path / "mail.npz"
        )


def test_every_hand_also_writes_strings_of_reversible_digits(all_digits):
    fold = recipes.Fold(train=all_digits, lattice=all_digits, confidence=all_digits)
    lines = recipes.oriented_lines(fold, Recipe(from_grid=True), recipes.SAMPLE_COUNTS[True])
    shares = [
        np.mean([recipes.REVERSIBLE.issuperset(one.nth(number).text) for number in range(40)])
        for one in lines
    ]
    assert len(shares) == 2
    assert shares[0] < 0.4
    assert 0.6 < shares[1] < 1


def test_orientation_is_also_fitted_to_mail_and_print(all_digits):
    fold = recipes.Fold(
        train=all_digits, lattice=all_digits, confidence=all_digits, mail=all_digits
    )
    lines = recipes.oriented_lines(fold, Recipe(), recipes.SAMPLE_COUNTS[False])
    assert len({one.seed for one in lines}) == len(lines) == 7
    assert sum(one.kinds == {"printed": 1} for one in lines) == 2
