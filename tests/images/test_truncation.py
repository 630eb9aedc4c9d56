"""Truncated files of all formats."""

import io
import os
import random
import time
from pathlib import Path

import corpus
import fakes
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from zipocr.images.truncation import ends_early

PAGES = [Image.fromarray(fakes.page(ink=gray)) for gray in (7, 8, 9)]


def written(kind: str, *, pages: int = 1, **options: object) -> bytes:
    file = io.BytesIO()
    others = {"save_all": True, "append_images": PAGES[1:pages]} if pages > 1 else {}
    PAGES[0].save(file, kind, **others, **options)
    return file.getvalue()


WHOLE = {
    "png": written("PNG"),
    "jpeg": written("JPEG"),
    "progressive jpeg": written("JPEG", progressive=True),
    "jpeg with a thumbnail": written("JPEG", exif=b"Exif\0\0" + written("JPEG")),
    "tiff": written("TIFF"),
    "tiff of pages": written("TIFF", pages=3),
    "packed tiff": written("TIFF", pages=3, compression="tiff_lzw"),
    "big tiff": written("TIFF", pages=2, big_tiff=True),
    "pdf": corpus.written_pdf(),
}


def ends(path: Path, data: bytes) -> bool:
    path.write_bytes(data)
    return ends_early(path)


@pytest.mark.parametrize("kind", WHOLE)
def test_a_whole_file_does_not_end_early_whatever_follows_it(tmp_path: Path, kind: str) -> None:
    assert not ends(tmp_path / "x", WHOLE[kind])
    assert not ends(tmp_path / "x", WHOLE[kind] + bytes(500))


@pytest.mark.parametrize("kind", WHOLE)
def test_a_file_cut_anywhere_ends_early(tmp_path: Path, kind: str) -> None:
    data = WHOLE[kind]
    # A PDF may lack the newline after its end marker; Pillow pads the last block of a TIFF.
    last = len(data) - (16 if "tiff" in kind else 1 if kind == "pdf" else 0)
    chance = random.Random(1)
    lengths = {*range(40), *range(last - 40, last), *(chance.randrange(last) for _ in range(200))}
    assert [
        n for n in sorted(lengths) if 0 <= n < last and not ends(tmp_path / "x", data[:n])
    ] == []


@pytest.mark.posix
def test_an_empty_file_ends_early_but_a_non_image_never_does(tmp_path: Path) -> None:
    assert ends(tmp_path / "x", b"")
    assert not ends(tmp_path / "x", b"no image at all")
    assert not ends(tmp_path / "x", WHOLE["png"][1:])
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "lost").symlink_to("nowhere")
    assert [ends_early(tmp_path / name) for name in ("pipe", "lost", ".", "missing")] == [False] * 4


@given(st.sampled_from(sorted(WHOLE)), st.integers(0, 400), st.binary(min_size=1, max_size=8))
def test_damaged_files_always_get_an_answer(
    tmp_path_factory: pytest.TempPathFactory, kind: str, place: int, damage: bytes
) -> None:
    data = bytearray(WHOLE[kind])
    data[place : place + len(damage)] = damage
    assert ends(tmp_path_factory.mktemp("damaged") / "x", bytes(data)) in {True, False}


def test_files_that_take_too_long_to_check_are_left_to_the_reader(tmp_path: Path) -> None:
    chunks = b"\0\0\0\0tEXt\0\0\0\0" * 600_000
    began = time.process_time()
    assert not ends(tmp_path / "x", WHOLE["png"][:8] + chunks)
    assert not ends(tmp_path / "x", b"\xff\xd8" + b"\xff" * 10_000_000)
    # Each page is the list of the next one's entries.
    assert not ends(tmp_path / "x", b"II*\0\x08\0\0\0" + b"\xff\x7f\0\0\0\0" * 2_000_000)
    assert time.process_time() - began < 10


def test_checking_circular_pages_terminates(tmp_path: Path) -> None:
    data = bytearray(b"II*\0\x08\0\0\0" + b"\0\0" + b"\x08\0\0\0")
    assert not ends(tmp_path / "x", bytes(data))
