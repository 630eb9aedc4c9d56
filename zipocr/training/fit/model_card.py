"""Contents of a model card: training data, recipe and versions."""

import platform
from importlib.metadata import version
from typing import Any

import numpy as np

from zipocr import __version__
from zipocr.training.data.datasets import DigitSet, WriterSplit
from zipocr.training.fit.svm import Recipe

LIBRARIES = ("numpy", "opencv-python-headless", "Pillow", "scikit-learn", "scipy")


def about_nist(nist: DigitSet, train: DigitSet) -> dict[str, Any]:
    """Describe the origin of the NIST digits, and the split of their writers."""
    split = WriterSplit()
    return {
        "source": "NIST digits of MNIST's training half by 431 known writers (QMNIST),"
        " CC BY-SA 3.0",
        "digits": len(nist),
        "writers": len(np.unique(nist.writers)),
        "writers_train": len(np.unique(train.writers)),
        "writers_held_out": {
            "lattice": split.lattice,
            "confidence": split.calibrate,
            "test": split.test,
            "seed": split.seed,
        },
    }


def about_mail(train: DigitSet, held_out: DigitSet) -> dict[str, Any]:
    """Describe the origin of the digits of US mail, and how many are held out."""
    return {
        "source": "ZIP code digits of LeCun et al. (1990), as The Elements of Statistical Learning"
        " hands them out; they train the larger networks",
        "digits": len(train),
        "digits_held_out": len(held_out),
    }


def about_recipe(recipe: Recipe) -> dict[str, Any]:
    """Return the classifier's parameters and the seed."""
    names = ("C", "gamma", "components", "from_grid", "seed")
    return {"recipe": {name: getattr(recipe, name) for name in names}}


def about_versions() -> dict[str, Any]:
    """Return the versions of Python, zipocr and the libraries that a model depends on."""
    own = {"python": platform.python_version(), "zipocr": __version__}
    return {"versions": {name: version(name) for name in LIBRARIES} | own}


def about_digits() -> str:
    """Describe the origin of Digits."""
    return (
        "scikit-learn's Digits: 1,797 digits of the test part of UCI optdigits, writers unknown, in"
        " contiguous blocks"
    )
