import io
import os
import struct
import subprocess
import warnings
import zlib
from pathlib import Path
from typing import Any

import cv2
import fakes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from zipocr.errors import OutputError
from zipocr.images import SUFFIXES, list_inputs, read_pages, silence_decoders, write_png
from zipocr.types import GrayImage, Reason, Unread

LIMIT = 1_000_000
PAPER, INK = 255, 0
PAGE = fakes.page(40, 64, ink=INK)
TOLERANCE = 8
"""What lossy compression may change on a clean page."""

silence_decoders()


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def tiff(*pages: Image.Image, compression: str = "group4", **options: Any) -> bytes:
    return encode(pages[0], "TIFF", save_all=True, append_images=pages[1:], compression=compression, **options)


def bilevel(page: GrayImage = PAGE) -> Image.Image:
    return Image.fromarray(page).convert("1")


def read(tmp_path: Path, data: bytes, *, max_pixels: int = LIMIT) -> list[GrayImage | Unread]:
    path = tmp_path / "x"
    path.write_bytes(data)
    return list(read_pages(path, max_pixels=max_pixels))


def read_one(tmp_path: Path, data: bytes) -> GrayImage:
    (page,) = read(tmp_path, data)
    assert not isinstance(page, Unread), page
    assert page.dtype == np.uint8
    return page


def assert_unread(pages: list[GrayImage | Unread], *reasons: Reason) -> None:
    assert [page.reason if isinstance(page, Unread) else "a page" for page in pages] == list(reasons)


def ink_only_in_alpha(mode: str) -> Image.Image:
    pixels = np.zeros((*PAGE.shape, len(mode)), np.uint8)
    pixels[..., -1] = PAPER - PAGE
    return Image.fromarray(pixels)


def transparent_palette() -> Image.Image:
    image = Image.fromarray((PAGE == INK).astype(np.uint8)).convert("P")
    image.putpalette([0, 0, 0, 0, 0, 0])
    return image


SAME_PAGE = {
    "png": encode(Image.fromarray(PAGE), "PNG"),
    "png colour": encode(Image.fromarray(PAGE).convert("RGB"), "PNG"),
    "png palette": encode(Image.fromarray(PAGE).convert("P"), "PNG"),
    "png bilevel": encode(bilevel(), "PNG"),
    "png 16 bit": encode(Image.fromarray(PAGE.astype(np.uint16) * 257), "PNG"),
    "png alpha": encode(ink_only_in_alpha("RGBA"), "PNG"),
    "png gray alpha": encode(ink_only_in_alpha("LA"), "PNG"),
    "png transparent palette": encode(transparent_palette(), "PNG", transparency=0),
    "jpeg": encode(Image.fromarray(PAGE), "JPEG", quality=95),
    "jpeg cmyk": encode(Image.fromarray(PAGE).convert("RGB").convert("CMYK"), "JPEG", quality=95),
    "bmp": encode(Image.fromarray(PAGE), "BMP"),
    "bmp bilevel": encode(bilevel(), "BMP"),
    "webp": encode(Image.fromarray(PAGE).convert("RGB"), "WEBP", lossless=True),
    "webp alpha": encode(ink_only_in_alpha("RGBA"), "WEBP", lossless=True, exact=True),
    "tiff": encode(Image.fromarray(PAGE), "TIFF"),
    "tiff palette": encode(Image.fromarray(PAGE).convert("P"), "TIFF"),
    "tiff 16 bit": encode(Image.fromarray(PAGE.astype(np.uint16) * 257), "TIFF"),
    "tiff 16 bit, white is 0": encode(Image.fromarray((PAPER - PAGE).astype(np.uint16) * 257), "TIFF", tiffinfo={262: 0}),
    "tiff cmyk": encode(Image.fromarray(PAGE).convert("RGB").convert("CMYK"), "TIFF"),
    "tiff alpha": encode(ink_only_in_alpha("RGBA"), "TIFF"),
    "tiff gray alpha": encode(ink_only_in_alpha("LA"), "TIFF"),
    "tiff g3": tiff(bilevel(), compression="group3"),
    "tiff g4": tiff(bilevel()),
    "tiff g4, white is 0": tiff(bilevel(), tiffinfo={262: 0}),
    "tiff white is 0": encode(Image.fromarray(PAGE), "TIFF", tiffinfo={262: 0}),
    "tiff lzw": tiff(Image.fromarray(PAGE), compression="tiff_lzw"),
    "tiff deflate": tiff(Image.fromarray(PAGE), compression="tiff_adobe_deflate"),
    "tiff packbits": tiff(Image.fromarray(PAGE), compression="packbits"),
    "tiff jpeg": tiff(Image.fromarray(PAGE), compression="jpeg"),
}


@pytest.mark.parametrize("kind", SAME_PAGE)
def test_every_kind_of_file_gives_the_same_gray_page(tmp_path: Path, kind: str) -> None:
    page = read_one(tmp_path, SAME_PAGE[kind])
    assert page.shape == PAGE.shape
    lossy = "jpeg" in kind
    np.testing.assert_allclose(page.astype(int), PAGE, atol=TOLERANCE if lossy else 0)


def test_the_white_is_0_files_say_so() -> None:
    """Otherwise the test above would show nothing."""
    for kind in ("tiff 16 bit, white is 0", "tiff g4, white is 0", "tiff white is 0"):
        with Image.open(io.BytesIO(SAME_PAGE[kind])) as image:
            assert image.tag_v2[262] == 0  # type: ignore[attr-defined]


def test_16_bit_is_scaled_and_not_clipped(tmp_path: Path) -> None:
    ramp = np.tile(np.arange(0, 65_536, 4_096, dtype=np.uint16), (16, 1))
    page = read_one(tmp_path, encode(Image.fromarray(ramp), "PNG"))
    np.testing.assert_allclose(page.astype(int), ramp // 256, atol=1)


def test_half_transparent_ink_is_gray(tmp_path: Path) -> None:
    image = Image.new("RGBA", (4, 3), (0, 0, 0, 128))
    assert read_one(tmp_path, encode(image, "PNG"))[0, 0] == pytest.approx(127, abs=1)


def test_16_bit_gray_with_a_transparent_value_is_read_without_it(tmp_path: Path) -> None:
    image = Image.fromarray(PAGE.astype(np.uint16) * 257)
    np.testing.assert_array_equal(read_one(tmp_path, encode(image, "PNG", transparency=5)), PAGE)


def upright(stored: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """EXIF's definition, spelled out: where the stored row 0 and column 0 belong on the upright page."""
    turns = {1: stored, 2: stored[:, ::-1], 3: stored[::-1, ::-1], 4: stored[::-1], 5: stored.T}
    turns |= {6: stored.T[:, ::-1], 7: stored.T[::-1, ::-1], 8: stored.T[::-1]}
    return turns[orientation]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("kind", "mode"), [("PNG", "L"), ("JPEG", "L"), ("WEBP", "RGB"), ("TIFF", "L"), ("TIFF", "1"), ("PNG", "LA")])
def test_pages_stand_upright(tmp_path: Path, kind: str, mode: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    page = read_one(tmp_path, encode(Image.fromarray(PAGE).convert(mode), kind, exif=exif, **options))
    expected = upright(PAGE, orientation)
    assert page.shape == expected.shape
    np.testing.assert_allclose(page.astype(int), expected, atol=TOLERANCE)


def test_all_pages_of_a_tiff_come_in_order(tmp_path: Path) -> None:
    shapes = [(40, 64), (10, 30), (50, 20)]
    pages = read(tmp_path, tiff(*(bilevel(fakes.page(*shape, ink=INK)) for shape in shapes)))
    assert [page.shape for page in pages if not isinstance(page, Unread)] == shapes


@pytest.mark.parametrize("compression", ["tiff_lzw", "group4", "raw"])
def test_pages_of_a_tiff_may_differ_in_kind(tmp_path: Path, compression: str) -> None:
    pages = read(
        tmp_path, tiff(bilevel(), ink_only_in_alpha("RGBA"), bilevel(), compression="tiff_lzw" if compression == "group4" else compression)
    )
    assert len(pages) == 3
    for page in pages:
        np.testing.assert_array_equal(page, PAGE)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_an_animation_is_one_page(tmp_path: Path, kind: str) -> None:
    frames = [Image.fromarray(frame).convert("RGB") for frame in (PAGE, PAPER - PAGE)]
    data = encode(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True)
    np.testing.assert_array_equal(read_one(tmp_path, data), PAGE)


NO_IMAGES = {
    "empty": b"",
    "text": b"These are words, not pixels.\n" * 20,
    "pdf": b"%PDF-1.7\n1 0 obj\n",
    "gif": encode(Image.fromarray(PAGE), "GIF"),
    "png signature": encode(Image.fromarray(PAGE), "PNG")[:8],
    "tiff signature": b"II*\0",
}


@pytest.mark.parametrize("kind", NO_IMAGES)
def test_what_is_no_image_gives_one_row(tmp_path: Path, kind: str) -> None:
    assert_unread(read(tmp_path, NO_IMAGES[kind]), Reason.UNREADABLE_FILE)


@pytest.mark.parametrize("kind", ["png", "jpeg", "bmp", "webp", "tiff", "tiff g4", "tiff lzw", "png alpha"])
def test_half_a_file_gives_one_row(tmp_path: Path, kind: str) -> None:
    data = SAME_PAGE[kind]
    assert_unread(read(tmp_path, data[: len(data) // 2]), Reason.UNREADABLE_FILE)


def test_a_missing_file_and_a_folder_give_one_row_each(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.png", tmp_path):
        assert_unread(list(read_pages(path, max_pixels=LIMIT)), Reason.UNREADABLE_FILE)


def written_page(text: str) -> GrayImage:
    page = np.full((200, 300), PAPER, np.uint8)
    cv2.putText(page, text, (20, 130), cv2.FONT_HERSHEY_SIMPLEX, 3, INK, 4)
    return page


def damage(data: bytes, *, page: int) -> bytes:
    """Overwrite the middle of a TIFF page's pixels."""
    with Image.open(io.BytesIO(data)) as image:
        image.seek(page)
        start, length = image.tag_v2[273][0], image.tag_v2[279][0]  # type: ignore[attr-defined]
    middle = start + length // 2
    return data[:middle] + b"\xff" * 40 + data[middle + 40 :]


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits"])
def test_damage_that_opencv_may_paint_over_is_found(tmp_path: Path, compression: str) -> None:
    data = damage(tiff(Image.fromarray(written_page("012")), compression=compression), page=0)
    assert_unread(read(tmp_path, data), Reason.UNREADABLE_FILE)


def test_a_damaged_page_has_its_row_and_the_others_theirs(tmp_path: Path) -> None:
    written = [written_page(text) for text in ("012", "345", "678")]
    data = damage(tiff(*map(Image.fromarray, written), compression="tiff_lzw"), page=1)
    first, second, third = read(tmp_path, data)
    np.testing.assert_array_equal(first, written[0])
    assert_unread([second], Reason.UNREADABLE_FILE)
    np.testing.assert_array_equal(third, written[2])


def test_a_tiff_without_pages_gives_one_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_page(*_: object) -> None:
        raise EOFError

    monkeypatch.setattr("PIL.TiffImagePlugin.TiffImageFile.seek", no_page)
    assert_unread(read(tmp_path, SAME_PAGE["tiff"]), Reason.UNREADABLE_FILE)


def test_a_tiff_whose_pages_run_in_a_circle_ends(tmp_path: Path) -> None:
    data = bytearray(tiff(bilevel()))
    (directory,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, directory)
    struct.pack_into("<I", data, directory + 2 + 12 * entries, directory)
    assert len(read(tmp_path, bytes(data))) == 1


def png_bomb(side: int) -> bytes:
    """A PNG that claims to be ``side`` pixels square and holds next to nothing."""

    def part(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", zlib.compress(b"\0" * 1_000)) + part(b"IEND", b"")


@pytest.mark.parametrize("side", [2_000, 12_000, 32_000])
def test_a_bomb_is_too_large_and_never_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: int) -> None:
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    monkeypatch.setattr(Image.Image, "load", lambda *_: pytest.fail("loaded"))
    assert_unread(read(tmp_path, png_bomb(side)), Reason.TOO_LARGE)


def test_the_pixel_limit_is_exact_and_named(tmp_path: Path) -> None:
    data = SAME_PAGE["png"]
    assert not isinstance(read(tmp_path, data, max_pixels=40 * 64)[0], Unread)
    (unread,) = read(tmp_path, data, max_pixels=40 * 64 - 1)
    assert isinstance(unread, Unread)
    assert unread.reason is Reason.TOO_LARGE
    assert "--max-pixels" in unread.detail


def test_a_page_that_is_too_large_does_not_hide_the_next(tmp_path: Path) -> None:
    big, small = read(tmp_path, tiff(bilevel(fakes.page(200, 200)), bilevel()), max_pixels=40 * 64)
    assert_unread([big], Reason.TOO_LARGE)
    np.testing.assert_array_equal(small, PAGE)


@given(st.data())
def test_no_damage_whatever_raises_or_warns(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    whole = SAME_PAGE[data.draw(st.sampled_from(sorted(SAME_PAGE)))]
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 6))):
        damaged[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(bytes(damaged[: data.draw(st.integers(0, len(whole)))]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for page in read_pages(path, max_pixels=LIMIT):
            assert isinstance(page, Unread) or (page.ndim == 2 and page.dtype == np.uint8)


def test_files_and_folders_are_listed_in_the_order_of_bytes(tmp_path: Path) -> None:
    names = ["b.png", "a/z.JPG", "a.tiff", "a-1.webp", "a/ä.bmp", "B.tif", "a/b/c.jpeg"]
    for name in [*names, "notes.txt", "a/results.csv", "nothing"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    listing = list_inputs([tmp_path])
    assert [file.name for file in listing.files] == ["B.tif", "a-1.webp", "a.tiff", "a/b/c.jpeg", "a/z.JPG", "a/ä.bmp", "b.png"]
    assert [file.path for file in listing.files] == [tmp_path / file.name for file in listing.files]
    assert listing.skipped == 3


def test_names_tell_several_paths_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ["one/x.png", "two/x.png", "two/deep/scans/y.png", "three/scans/y.png"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)

    def names(*paths: str) -> list[str]:
        return [file.name for file in list_inputs([Path(path) for path in paths]).files]

    assert names("one") == ["x.png"]
    assert names("one/x.png") == ["x.png"]
    assert names("one", "three") == ["one/x.png", "three/scans/y.png"]
    assert names("three", "one", "two/deep") == ["three/scans/y.png", "one/x.png", "deep/scans/y.png"]
    assert names("one/x.png", "three/scans") == ["x.png", "scans/y.png"]
    assert names("one/x.png", "two/x.png") == ["one/x.png", "two/x.png"]
    assert names("two/deep/scans", "three/scans") == ["two/deep/scans/y.png", "three/scans/y.png"]
    assert names("one", "one") == ["x.png"]
    monkeypatch.chdir(tmp_path / "one")
    assert names(".", "../three") == ["one/x.png", "three/scans/y.png"]


def test_a_file_given_directly_is_listed_whatever_its_name(tmp_path: Path) -> None:
    (tmp_path / "scan").touch()
    assert [file.name for file in list_inputs([tmp_path / "scan"]).files] == ["scan"]


def test_the_folder_of_debug_pictures_is_left_out(tmp_path: Path) -> None:
    for name in ["x.png", "debug/sheet.png", "a/debug/y.png"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    listing = list_inputs([tmp_path], exclude=tmp_path / "a" / ".." / "debug")
    assert [file.name for file in listing.files] == ["a/debug/y.png", "x.png"]
    assert listing.skipped == 0


def test_what_is_called_an_image_and_is_none_is_listed_so_that_its_row_can_tell(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "endless.png")
    os.mkfifo(tmp_path / "endless")
    (tmp_path / "lost.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    (tmp_path / "link.png").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "empty.png").mkdir()
    (tmp_path / "full.png").mkdir()
    (tmp_path / "full.png" / "x.png").touch()
    listing = list_inputs([tmp_path])
    assert [file.name for file in listing.files] == ["empty.png", "endless.png", "full.png/x.png", "link.png", "loop.png", "lost.png"]
    assert listing.skipped == 1


def test_links_that_run_in_a_circle_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "x.png").touch()
    (tmp_path / "again").symlink_to(tmp_path, target_is_directory=True)
    assert [file.name for file in list_inputs([tmp_path]).files] == ["x.png"]


def test_a_folder_that_cannot_be_opened_gets_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "x.png").touch()
    scandir = os.scandir

    def guarded(path: str) -> Any:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    assert [file.name for file in list_inputs([tmp_path]).files] == ["closed", "x.png"]


def test_names_that_are_no_utf8_are_listed_and_read(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.png"))
    path.write_bytes(SAME_PAGE["png"])
    (file,) = list_inputs([tmp_path]).files
    assert os.fsencode(file.name) == b"\xff\xfe.png"
    (page,) = read_pages(file.path, max_pixels=LIMIT)
    np.testing.assert_array_equal(page, PAGE)


def test_suffixes_are_lower_case() -> None:
    assert all(suffix == suffix.lower() for suffix in SUFFIXES)


def test_pictures_are_written_under_any_name(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "Grüße 日本.png"
    picture = np.dstack([PAGE, PAGE, PAPER - PAGE])
    write_png(path, picture)
    with Image.open(path) as image:
        np.testing.assert_array_equal(np.asarray(image)[..., ::-1], picture)


def test_a_picture_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="Cannot make the folder"):
        write_png(tmp_path / "file" / "x.png", PAGE)


@pytest.mark.system("tiffcp")
@pytest.mark.parametrize(
    "options",
    [
        ["-c", "g4", "-f", "lsb2msb"],
        ["-c", "g4", "-r", "7"],
        ["-c", "g4", "-t", "-w", "32", "-l", "32"],
        ["-c", "g3:2d"],
        ["-c", "g4", "-B"],
        ["-c", "g4", "-8"],
    ],
)
def test_what_fax_machines_and_libtiff_write_is_read(tmp_path: Path, options: list[str]) -> None:
    source, target = tmp_path / "source.tif", tmp_path / "target.tif"
    source.write_bytes(tiff(bilevel(), bilevel()))
    subprocess.run(["tiffcp", *options, source, target], check=True)
    pages = list(read_pages(target, max_pixels=LIMIT))
    assert len(pages) == 2
    for page in pages:
        np.testing.assert_array_equal(page, PAGE)
