"""The steps of cleaning, for `zipocr.preprocess.page`."""

from zipocr.preprocess.gaps import bridge_gaps
from zipocr.preprocess.rules import remove_rules
from zipocr.preprocess.specks import remove_specks
from zipocr.preprocess.text_height import estimate_text_height

__all__ = ["bridge_gaps", "estimate_text_height", "remove_rules", "remove_specks"]
