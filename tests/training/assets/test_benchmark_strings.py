import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from zipocr.decode.directory import places
from zipocr.errors import InputError
from zipocr.training.assets import benchmark_strings as frozen
from zipocr.training.assets import sample_scans as samples
from zipocr.training.assets.benchmark_strings import (
    GRAYS,
    MAIL_UNLISTED,
    QUOTAS,
    FrozenString,
    fewer_grays,
    frozen_strings,
    write_strings,
)
from zipocr.training.assets.sample_scans import sample_files, sample_rows
from zipocr.training.data.datasets import DigitSet, nist_rows, split_writers
from zipocr.training.synthesis.compose import HANDWRITTEN_QUOTAS
from zipocr.training.synthesis.typefaces import typefaces

STRINGS = Path(__file__).parents[2] / "strings"
FEW = {"plain": 12, "touching": 12, "plus4": 2, "printed": 4}


@pytest.fixture(scope="module")
def labels() -> list[dict[str, str]]:
    with (STRINGS / "labels.csv").open(encoding="utf-8", newline="") as table:
        return list(csv.DictReader(table))


@pytest.fixture(scope="module")
def few(held_out: DigitSet) -> list[FrozenString]:
    return list(frozen_strings(held_out, typefaces("test"), taken=np.arange(400), quotas=FEW))


def test_the_shipped_strings_have_the_quotas_and_there_are_enough_of_every_kind(labels):
    found = {
        kind: sum(row["kind"] == kind for row in labels) for kind in {row["kind"] for row in labels}
    }
    assert found == dict(QUOTAS)
    assert set(found) >= {*HANDWRITTEN_QUOTAS, "printed"}
    assert min(found.values()) >= 12
    assert min(found["touching"], found["printed"]) >= 40


def test_the_shipped_strings_are_by_writers_and_in_typefaces_that_trained_nothing(labels):
    # The package knows who wrote each NIST digit, though it has no picture of any.
    writers = nist_rows()[1].astype(np.int32)
    blank = np.zeros((len(writers), 1, 1), np.uint8)
    nist = DigitSet(
        images=blank, labels=blank[:, 0, 0], writers=writers, grids=np.zeros((0, 8, 8), np.uint8)
    )
    held_out = {str(writer) for writer in np.unique(split_writers(nist).test.writers)}
    assert len(held_out) == 31
    assert {row["writer"] for row in labels if row["kind"] != "printed"} == held_out
    assert {row["writer"] for row in labels if row["kind"] == "printed"} <= {
        face.name for face in typefaces("test")
    }


def test_every_shipped_file_has_its_row_and_is_a_crop_of_some_size(labels):
    assert sorted(row["file"] for row in labels) == sorted(
        path.relative_to(STRINGS).as_posix() for path in STRINGS.glob("*/*")
    )
    for row in labels:
        page = cv2.imdecode(np.fromfile(STRINGS / row["file"], np.uint8), cv2.IMREAD_UNCHANGED)
        assert min(page.shape[:2]) > 15
        assert len(np.unique(page)) <= GRAYS


def test_the_shipped_zips_are_listed_as_often_as_on_mail(labels):
    assert all(len(row["zip"]) == 5 and row["zip"].isdigit() for row in labels)
    assert all(len(row["plus4"]) == 4 * (row["kind"] == "plus4") for row in labels)
    listed = sum(row["zip"] in places() for row in labels)
    assert 0.96 <= listed / len(labels) < 1
    assert MAIL_UNLISTED * (1 - len(places()) / 100_000) == pytest.approx(0.02, abs=1e-3)


def test_the_shipped_folder_stays_small():
    assert sum(path.stat().st_size for path in STRINGS.glob("**/*") if path.is_file()) < 2_500_000


def test_the_same_digits_make_the_same_strings(few, held_out):
    assert (
        list(frozen_strings(held_out, typefaces("test"), taken=np.arange(400), quotas=FEW)) == few
    )
    assert {kind: sum(string.kind == kind for string in few) for kind in FEW} == FEW


def test_no_digit_stands_on_two_strings_or_was_taken(held_out):
    quotas = {"plain": 20, "white": 20}
    spent = [image.tobytes() for image in _glyphs(held_out, np.arange(400), quotas)]
    assert len(spent) == len(set(spent)) == 5 * sum(quotas.values())
    assert set(spent) <= {image.tobytes() for image in held_out.images[400:]}


def _glyphs(digits: DigitSet, taken: np.ndarray, quotas: dict[str, int]) -> list[np.ndarray]:
    """The glyphs that are written, caught on their way to the pen."""
    seen: list[np.ndarray] = []
    real = frozen.compose

    def spy(rng, glyphs, *arguments, **options):
        seen.extend(glyphs)
        return real(rng, glyphs, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frozen, "compose", spy)
        list(frozen_strings(digits, typefaces("test"), taken=taken, quotas=quotas))
    return seen


def test_too_few_digits_are_an_error_that_says_so(held_out):
    with pytest.raises(InputError, match="too few"):
        list(
            frozen_strings(
                held_out,
                typefaces("test"),
                taken=np.arange(20, len(held_out)),
                quotas={"plain": 20},
            )
        )


def test_the_rows_of_the_samples_are_those_their_digits_come_from(held_out, monkeypatch):
    seen: set[bytes] = set()
    real = samples.compose

    def spy(rng, glyphs, *arguments, **options):
        seen.update(glyph.tobytes() for glyph in glyphs)
        return real(rng, glyphs, *arguments, **options)

    monkeypatch.setattr(samples, "compose", spy)
    list(sample_files(held_out, typefaces("test")))
    assert {
        held_out.images[row].tobytes() for row in sample_rows(held_out, typefaces("test"))
    } == seen


def test_fewer_grays_keep_black_and_white_and_stay_near_the_others():
    ramp = np.arange(256, dtype=np.uint8)[None]
    kept = fewer_grays(ramp)
    assert len(np.unique(kept)) == GRAYS
    assert (kept[0, 0], kept[0, -1]) == (0, 255)
    assert np.abs(kept.astype(int) - ramp).max() <= 255 / (GRAYS - 1) / 2 + 0.5


def test_the_folder_has_a_row_for_every_string_and_says_whose_digits_they_are(few, tmp_path):
    write_strings(iter(few), tmp_path)
    with (tmp_path / "labels.csv").open(encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table))
    assert [
        (row["file"], row["zip"] + row["plus4"], row["kind"], row["writer"]) for row in rows
    ] == [(string.name, string.text, string.kind, string.writer) for string in few]
    assert all(
        (tmp_path / row["file"]).read_bytes() == string.data
        for row, string in zip(rows, few, strict=True)
    )
    assert "CC BY-SA 3.0" in (tmp_path / "README.md").read_text(encoding="utf-8")
