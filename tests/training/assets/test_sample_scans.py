import csv
import io

import cv2
import numpy as np
import pytest
from PIL import Image

from zipocr.training.assets import sample_scans as samples
from zipocr.training.assets.sample_scans import (
    MAX_PAGE_BYTES,
    NO_ZIP,
    ODD_NAME,
    PAGES,
    PLUS4,
    QUOTAS,
    STACK,
    sample_files,
    write_samples,
)
from zipocr.training.data.datasets import DigitSet
from zipocr.training.synthesis.typefaces import typefaces


@pytest.fixture(scope="module")
def files(held_out: DigitSet) -> list[samples.SampleFile]:
    return list(sample_files(held_out, typefaces("test")))


def test_at_least_a_hundred_crops_by_fixed_quotas(files):
    assert sum(len(file.zips) for file in files) >= 100
    for kind, quota in QUOTAS.items():
        assert sum(file.name.startswith(f"{kind}/") for file in files) == quota


def test_the_same_digits_make_the_same_bytes(files, held_out):
    again = list(sample_files(held_out, typefaces("test")))
    assert [(file.name, file.zips) for file in again] == [(file.name, file.zips) for file in files]
    assert all(one.data == other.data for one, other in zip(files, again, strict=True))


def test_samples_are_written_by_the_given_writers_alone(held_out, monkeypatch):
    seen = []
    real = samples.compose

    def spy(rng, glyphs, kind, text, *, writer, scene):
        seen.append(writer)
        known = {image.tobytes() for image in held_out.images[held_out.writers == writer]}
        assert {glyph.tobytes() for glyph in glyphs} <= known
        return real(rng, glyphs, kind, text, writer=writer, scene=scene)

    monkeypatch.setattr(samples, "compose", spy)
    list(sample_files(held_out, typefaces("test")))
    assert set(seen) <= set(held_out.writers.tolist())
    assert len(seen) > 90


def test_typefaces_of_the_samples_never_train():
    train, test = ({face.name for face in typefaces(part)} for part in ("train", "test"))
    assert not train & test
    assert not {name.split("-")[0] for name in train if not name.startswith("dots")} & {
        name.split("-")[0] for name in test
    }


def test_every_page_decodes_to_a_crop_with_its_label(files):
    for file in files:
        known, pages = cv2.imdecodemulti(np.frombuffer(file.data, np.uint8), cv2.IMREAD_GRAYSCALE)
        assert known
        assert len(pages) == len(file.zips)
        lengths = {9} if file.name.startswith("plus4/") else {0, 5}
        lengths |= {9} if file.name.startswith("pages/") else set()
        assert all(len(text) in lengths and (text.isdigit() or not text) for text in file.zips)


def test_what_was_added_later_comes_last_so_that_no_older_sample_depends_on_it(files):
    last = [file.name.partition("/")[0] for file in files[-PLUS4 - len(PAGES) :]]
    assert last == ["plus4"] * PLUS4 + ["pages"] * len(PAGES)
    assert not {"plus4", "pages"} & {file.name.partition("/")[0] for file in files[: -len(last)]}


def test_there_are_whole_pages_blocks_and_lines_and_two_without_a_zip(files):
    pages = [file for file in files if file.name.startswith("pages/page-")]
    assert len(pages) >= 16
    assert sum(file.zips == ("",) for file in pages) == 2
    assert max(len(file.data) for file in pages) <= MAX_PAGE_BYTES
    shapes = [cv2.imdecode(np.frombuffer(file.data, np.uint8), 0).shape for file in pages]
    assert sum(max(shape) >= 1200 for shape in shapes) >= 8


def test_the_stack_is_a_two_level_g4_tiff_with_a_page_without_a_zip(files):
    stack = next(file for file in files if file.name.endswith(".tif"))
    with Image.open(io.BytesIO(stack.data)) as image:
        assert (image.n_frames, image.mode, image.info["compression"]) == (
            len(STACK),
            "1",
            "group4",
        )
    assert stack.zips.count("") == 1


def test_there_are_pages_without_a_zip_jpegs_and_an_awkward_name(files):
    names = [file.name for file in files]
    assert sum(file.zips == ("",) for file in files) == len(NO_ZIP) + 2
    assert any(name.endswith(".jpg") for name in names)
    assert ODD_NAME in names
    assert " " in ODD_NAME
    assert not ODD_NAME.isascii()


def test_the_folder_has_a_row_for_every_page(files, tmp_path):
    write_samples(iter(files), tmp_path)
    with (tmp_path / "labels.csv").open(encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table))
    assert [*rows[0]] == ["file", "page", "zip", "plus4"]
    crops = [row for row in rows if not row["file"].startswith("pages/")]
    assert [row["plus4"] != "" for row in crops] == [
        row["file"].startswith("plus4/") for row in crops
    ]
    assert all(len(row["zip"]) in {0, 5} and len(row["plus4"]) in {0, 4} for row in rows)
    assert len(rows) == sum(len(file.zips) for file in files)
    assert all((tmp_path / row["file"]).is_file() for row in rows)
    assert "CC BY-SA 3.0" in (tmp_path / "README.md").read_text(encoding="utf-8")


def test_the_folder_stays_small(files):
    assert sum(len(file.data) for file in files) < 5_000_000
