import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from zipocr.training.accuracy import PLACE, Score, load_labels, score_crops


def labelled(folder: Path, zips: list[str]) -> Path:
    """White pages that are said to hold these ZIPs."""
    with (folder / "labels.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "zip"])
        for number, text in enumerate(zips):
            cv2.imwrite(str(folder / f"{number}.png"), np.full((60, 200), 255, np.uint8))
            rows.writerow([f"{number}.png", text])
    return folder / "labels.csv"


def test_half_widths_are_those_of_wilson():
    # The figure of R's prop.test(90, 100, correct=FALSE): 0.8256 to 0.9448.
    assert Score(count=100, exact=0.9, accepted=0, wrong=0).half_width == pytest.approx((0.9448 - 0.8256) / 2, abs=1e-4)


def test_labels_keep_leading_zeros_and_pages_default_to_the_first(tmp_path: Path):
    crops = load_labels(labelled(tmp_path, ["02108", ""]))
    assert [(crop.path.name, crop.page, crop.zip) for crop in crops] == [("0.png", 1, "02108"), ("1.png", 1, "")]


def test_a_label_of_nine_digits_is_right_only_as_a_whole(tmp_path: Path):
    (tmp_path / "labels.csv").write_text("file,page,zip,plus4\na.png,1,02108,1234\nb.png,1,02108,\n")
    assert [crop.zip for crop in load_labels(tmp_path / "labels.csv")] == ["021081234", "02108"]


@pytest.mark.real
def test_pages_without_a_zip_do_not_count_and_unread_ones_are_wrong(tmp_path: Path):
    score = score_crops("mail", load_labels(labelled(tmp_path, ["02108", "", "94110"])), use_directory=True, jobs=1)
    assert (score.count, score.exact, score.accepted) == (2, 0, 0)


def test_the_readme_has_a_place_for_the_results():
    text = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert len(PLACE.findall(text)) == 1
