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
