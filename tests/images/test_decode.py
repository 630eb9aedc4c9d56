import io
import os
import subprocess
import sys
import tempfile
import time
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import corpus
import cv2
import fakes
import numpy as np
import pytest
from corpus import encode, tiff
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from zipocr.images.decode import LIGHT_BYTES, MAX_SCANS, is_light, read_pages, silence_decoders
from zipocr.images.listing import SUFFIXES, list_inputs
from zipocr.images.pdf import MAX_LOST_PAGES
from zipocr.images.s3 import Url
from zipocr.types import GrayImage, Reason, Unread

LIMIT = 1_000_000
PAPER, INK = corpus.PAPER, corpus.INK
PAGE = corpus.draw_page()
SAME_PAGE = corpus.whole_files(PAGE)
ALIKE = corpus.lossy_files(PAGE)
TOLERANCE = 1.5
"""The average change in gray levels that lossy compression may cause on a clean page."""
silence_decoders()


def bilevel(page: GrayImage = PAGE) -> Image.Image:
    return corpus.bilevel(page)


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
    assert [page.reason if isinstance(page, Unread) else "a page" for page in pages] == list(
        reasons
    )


@pytest.mark.parametrize("kind", SAME_PAGE)
def test_every_kind_of_file_gives_the_same_gray_page(tmp_path: Path, kind: str) -> None:
    np.testing.assert_array_equal(read_one(tmp_path, SAME_PAGE[kind]), PAGE)


@pytest.mark.parametrize("kind", ALIKE)
def test_lossy_kinds_of_files_give_nearly_the_same_gray_page(tmp_path: Path, kind: str) -> None:
    assert_alike(read_one(tmp_path, ALIKE[kind]), PAGE)


def assert_alike(page: GrayImage, expected: GrayImage) -> None:
    assert page.shape == expected.shape
    assert np.abs(page.astype(int) - expected).mean() < TOLERANCE


def test_the_white_is_0_files_are_tagged_so() -> None:
    """Otherwise the test above would prove nothing."""
    for kind in ("16 bit, white is 0.tif", "g4, white is 0.tif", "white is 0.tif"):
        with Image.open(io.BytesIO(SAME_PAGE[kind])) as image:
            assert image.tag_v2[262] == 0  # type: ignore[attr-defined]


def test_16_bit_is_scaled_and_not_clipped(tmp_path: Path) -> None:
    ramp = np.tile(np.arange(0, 65_536, 4_096, dtype=np.uint16), (16, 1))
    page = read_one(tmp_path, encode(Image.fromarray(ramp), "PNG"))
    np.testing.assert_allclose(page.astype(int), ramp // 256, atol=1)


def test_half_transparent_ink_is_gray(tmp_path: Path) -> None:
    image = Image.new("RGBA", (4, 3), (0, 0, 0, 128))
    assert read_one(tmp_path, encode(image, "PNG"))[0, 0] == pytest.approx(127, abs=1)


@pytest.mark.parametrize("gray", [255, 220])
def test_light_ink_on_transparent_paper_is_composited_onto_black(tmp_path: Path, gray: int) -> None:
    pixels = np.zeros((*PAGE.shape, 4), np.uint8)
    pixels[..., :3], pixels[..., 3] = gray, 255 - PAGE
    page = read_one(tmp_path, encode(Image.fromarray(pixels, "RGBA"), "PNG"))
    # Dark writing on light paper, since pages of light writing are inverted.
    assert np.corrcoef(page.ravel(), PAGE.ravel())[0, 1] > 0.99


def test_16_bit_gray_ignores_a_transparent_value(tmp_path: Path) -> None:
    image = Image.fromarray(PAGE.astype(np.uint16) * 257)
    np.testing.assert_array_equal(read_one(tmp_path, encode(image, "PNG", transparency=5)), PAGE)


def upright(stored: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """EXIF's definition, spelled out.

    Where the stored row 0 and column 0 belong on the upright page.
    """
    turns = {1: stored, 2: stored[:, ::-1], 3: stored[::-1, ::-1], 4: stored[::-1], 5: stored.T}
    turns |= {6: stored.T[:, ::-1], 7: stored.T[::-1, ::-1], 8: stored.T[::-1]}
    return turns[orientation]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("kind", "mode"),
    [("PNG", "L"), ("JPEG", "L"), ("WEBP", "RGB"), ("TIFF", "L"), ("TIFF", "1"), ("PNG", "LA")],
)
def test_pages_are_turned_upright(tmp_path: Path, kind: str, mode: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {"quality": 95}
    page = read_one(
        tmp_path, encode(Image.fromarray(PAGE).convert(mode), kind, exif=exif, **options)
    )
    assert_alike(page, upright(PAGE, orientation))


def test_all_pages_of_a_tiff_are_read_in_order(tmp_path: Path) -> None:
    shapes = [(40, 64), (10, 30), (50, 20)]
    pages = read(tmp_path, tiff(*(bilevel(fakes.page(*shape, ink=INK)) for shape in shapes)))
    assert [page.shape for page in pages if not isinstance(page, Unread)] == shapes


@pytest.mark.parametrize("kind", ["tif", "pdf", "png"])
def test_a_file_can_be_read_starting_at_any_page(tmp_path: Path, kind: str) -> None:
    heights = (40, 72, 50)
    data = {
        "tif": tiff(*(bilevel(fakes.page(height, 64, ink=INK)) for height in heights)),
        "pdf": corpus.written_pdf(
            pages=["/MediaBox[0 0 144 72]", "/MediaBox[0 0 14400 14400]", "/MediaBox[0 0 72 72]"]
        ),
        "png": SAME_PAGE["gray.png"],
    }[kind]
    whole = read(tmp_path, data)
    assert len(whole) == (1 if kind == "png" else len(heights))
    for first in range(1, 6):
        begun: list[None] = []
        pages = list(
            read_pages(
                tmp_path / "x",
                max_pixels=LIMIT,
                first=first,
                begin=lambda begun=begun: begun.append(None),
            )
        )
        assert len(begun) == len(pages) == max(len(whole) - first + 1, 0)
        for page, expected in zip(pages, whole[first - 1 :], strict=True):
            np.testing.assert_equal(page, expected)


@pytest.mark.parametrize("compression", ["tiff_lzw", "group4", "raw"])
def test_pages_of_a_tiff_may_differ_in_kind(tmp_path: Path, compression: str) -> None:
    kinds = bilevel(), corpus.ink_only_in_alpha(PAGE, "RGBA"), bilevel()
    pages = read(
        tmp_path, tiff(*kinds, compression="tiff_lzw" if compression == "group4" else compression)
    )
    assert len(pages) == 3
    for page in pages:
        np.testing.assert_array_equal(page, PAGE)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_an_animation_is_one_page(tmp_path: Path, kind: str) -> None:
    frames = [Image.fromarray(frame).convert("RGB") for frame in (PAGE, PAPER - PAGE)]
    data = encode(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True)
    np.testing.assert_array_equal(read_one(tmp_path, data), PAGE)


NON_IMAGES = {
    "empty": b"",
    "text": b"These are words, not pixels.\n" * 20,
    "pdf": b"%PDF-1.7\n1 0 obj\n",
    "gif": encode(Image.fromarray(PAGE), "GIF"),
    "png signature": encode(Image.fromarray(PAGE), "PNG")[:8],
    "tiff signature": b"II*\0",
}


@pytest.mark.parametrize("kind", NON_IMAGES)
def test_a_non_image_gets_one_row(tmp_path: Path, kind: str) -> None:
    assert_unread(read(tmp_path, NON_IMAGES[kind]), Reason.UNREADABLE_FILE)


@pytest.mark.parametrize(
    "kind",
    [
        "gray.png",
        "gray.jpg",
        "gray.bmp",
        "lossless.webp",
        "raw.tif",
        "g4.tif",
        "lzw.tif",
        "alpha.png",
        "photo.heic",
        "scan.pdf",
    ],
)
def test_half_a_file_gets_one_row(tmp_path: Path, kind: str) -> None:
    data = {**SAME_PAGE, **ALIKE}[kind]
    assert_unread(read(tmp_path, data[: len(data) // 2]), Reason.UNREADABLE_FILE)


def test_a_missing_file_and_a_folder_get_one_row_each(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.png", tmp_path):
        assert_unread(list(read_pages(path, max_pixels=LIMIT)), Reason.UNREADABLE_FILE)


def written_page(text: str) -> GrayImage:
    page = np.full((200, 300), PAPER, np.uint8)
    cv2.putText(page, text, (20, 130), cv2.FONT_HERSHEY_SIMPLEX, 3, INK, 4)
    return page


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits"])
def test_damage_that_opencv_may_hide_is_found(tmp_path: Path, compression: str) -> None:
    data = corpus.damaged_tiff(
        Image.fromarray(written_page("012")), page=0, compression=compression
    )
    assert_unread(read(tmp_path, data), Reason.UNREADABLE_FILE)


def test_a_damaged_page_gets_its_row_and_the_others_are_read(tmp_path: Path) -> None:
    written = [written_page(text) for text in ("012", "345", "678")]
    data = corpus.damaged_tiff(*map(Image.fromarray, written), page=1)
    first, second, third = read(tmp_path, data)
    np.testing.assert_array_equal(first, written[0])
    assert_unread([second], Reason.UNREADABLE_FILE)
    np.testing.assert_array_equal(third, written[2])


def test_reading_a_tiff_with_circular_pages_terminates(tmp_path: Path) -> None:
    assert len(read(tmp_path, corpus.tiff_in_a_circle(bilevel()))) == 1


@pytest.mark.parametrize("side", [2_000, 12_000, 32_000])
@pytest.mark.parametrize("bomb", [corpus.png_bomb, corpus.tiff_bomb])
def test_a_decompression_bomb_is_too_large_and_never_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: int, bomb: Callable[[int], bytes]
) -> None:
    data = bomb(side)
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    monkeypatch.setattr(Image.Image, "load", lambda *_: pytest.fail("loaded"))
    (unread,) = read(tmp_path, data)
    assert_unread([unread], Reason.TOO_LARGE)
    assert "--max-pixels" in unread.detail


def test_a_png_chunk_that_claims_more_than_the_file_holds_is_not_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = SAME_PAGE["gray.png"]
    place = data.index(b"IDAT") - 4
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    claim = (1 << 30).to_bytes(4)
    assert_unread(read(tmp_path, data[:place] + claim + data[place + 4 :]), Reason.UNREADABLE_FILE)


def test_tiles_larger_than_their_image_count_as_its_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    assert_unread(read(tmp_path, corpus.tile_bomb(16_000)), Reason.TOO_LARGE)


def test_a_jpeg_with_too_many_scans_is_not_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not isinstance(read(tmp_path, corpus.scanned_often(PAGE, 0))[0], Unread)
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    assert_unread(read(tmp_path, corpus.scanned_often(PAGE, MAX_SCANS)), Reason.UNREADABLE_FILE)


def test_a_page_of_a_tiff_is_decoded_as_if_it_were_the_only_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decoder that goes through all pages takes longer the more there are."""
    decode, behind = cv2.imdecode, []

    def note(data: NDArray[np.uint8], flags: int) -> object:
        file = data.tobytes()
        behind.append(corpus.next_directory(file, corpus.first_directory(file)))
        return decode(data, flags)

    monkeypatch.setattr(cv2, "imdecode", note)
    assert len(read(tmp_path, tiff(*[bilevel()] * 5))) == 5
    assert behind == [0] * 5


@pytest.mark.parametrize("orientation", range(1, 9))
def test_transparency_is_composited_onto_white_in_bands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, orientation: int
) -> None:
    composite, sizes = Image.alpha_composite, []
    monkeypatch.setattr("zipocr.images.decode.BAND_PIXELS", 1_000)
    monkeypatch.setattr(
        Image, "alpha_composite", lambda *two: sizes.append(two[0].size) or composite(*two)
    )
    stored, exif = corpus.turned(PAGE, orientation) if orientation > 1 else (PAGE, Image.Exif())
    data = encode(corpus.ink_only_in_alpha(stored, "RGBA"), "PNG", exif=exif)
    np.testing.assert_array_equal(read_one(tmp_path, data), PAGE)
    assert max(width * height for width, height in sizes) <= 1_000


@pytest.mark.posix
def test_small_plain_images_are_light_and_files_that_may_hang_or_blow_up_are_not(
    tmp_path: Path,
) -> None:
    light = {name: data for name, data in SAME_PAGE.items() if name != "circle.tif"}
    light |= {"empty.png": b"", "text.png": b"words"}
    heavy = {
        "scan.pdf": ALIKE["scan.pdf"],
        "photo.heic": ALIKE["photo.heic"],
        "pages.tif": tiff(bilevel(), bilevel()),
        "pixels.png": corpus.png_bomb(2_000),
        "bytes.png": SAME_PAGE["gray.png"] + bytes(LIGHT_BYTES),
    }
    for name, data in (light | heavy).items():
        (tmp_path / name).write_bytes(data)
    os.mkfifo(tmp_path / "pipe.png")
    assert {name for name in light if not is_light(tmp_path / name)} == set()
    assert {name for name in heavy if is_light(tmp_path / name)} == set()
    assert is_light(tmp_path / "pipe.png")
    assert is_light(tmp_path / "missing.png")
    assert not is_light(Url("s3://bucket/a.png"))


def test_the_pixel_limit_is_exact_and_named(tmp_path: Path) -> None:
    data = SAME_PAGE["gray.png"]
    assert not isinstance(read(tmp_path, data, max_pixels=PAGE.size)[0], Unread)
    (unread,) = read(tmp_path, data, max_pixels=PAGE.size - 1)
    assert isinstance(unread, Unread)
    assert unread.reason is Reason.TOO_LARGE
    assert "--max-pixels" in unread.detail


def test_a_page_that_is_too_large_does_not_hide_the_next(tmp_path: Path) -> None:
    big, small = read(
        tmp_path, tiff(bilevel(fakes.page(200, 200)), bilevel()), max_pixels=PAGE.size
    )
    assert_unread([big], Reason.TOO_LARGE)
    np.testing.assert_array_equal(small, PAGE)


@given(st.data())
def test_arbitrary_damage_never_raises_or_warns(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    files = st.sampled_from(sorted(SAME_PAGE) + sorted(ALIKE)).map({**SAME_PAGE, **ALIKE}.get)
    whole, other = data.draw(files), data.draw(files)
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(0, 6))):
        damaged[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    cut, spliced = data.draw(st.integers(0, len(whole))), data.draw(st.integers(0, len(other)))
    assert_read_or_unread(
        tmp_path_factory,
        bytes(damaged[:cut])
        + data.draw(st.sampled_from([b"", bytes(damaged[cut:]), other[spliced:]])),
    )


SIGNATURES = [
    b"",
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"II*\0\x08\0\0\0",
    b"MM\0*\0\0\0\x08",
    b"BM",
    b"RIFF\xff\0\0\0WEBPVP8 ",
    b"%PDF-1.7\n",
]


@given(st.sampled_from([*SIGNATURES, b"\0\0\0\x18ftypheic"]), st.binary(max_size=400))
def test_arbitrary_bytes_never_raise_or_warn(
    tmp_path_factory: pytest.TempPathFactory, signature: bytes, rest: bytes
) -> None:
    assert_read_or_unread(tmp_path_factory, signature + rest)


def assert_read_or_unread(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    """Check one file name only, since contents decide and not suffixes.

    A TIFF page takes at least six bytes; a PDF may claim a few pages more.
    """
    path = tmp_path_factory.getbasetemp() / "file"
    path.write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pages = list(read_pages(path, max_pixels=LIMIT))
    assert 1 <= len(pages) <= len(data) // 6 + 1 + MAX_LOST_PAGES
    for page in pages:
        assert isinstance(page, Unread) or (
            page.ndim == 2 and page.dtype == np.uint8 and 0 < page.size <= LIMIT
        )


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_contents_and_not_suffixes_decide_the_file_type(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    for data in (
        SAME_PAGE["gray.png"],
        SAME_PAGE["g4.tif"],
        ALIKE["photo.heic"],
        ALIKE["scan.pdf"],
    ):
        path.write_bytes(data)
        (page,) = read_pages(path, max_pixels=LIMIT)
        assert_alike(page, PAGE)
    path.write_bytes(b"These are words, not pixels.")
    assert_unread(list(read_pages(path, max_pixels=LIMIT)), Reason.UNREADABLE_FILE)


@pytest.mark.parametrize(
    ("kind", "package", "reason"),
    [
        ("scan.pdf", "pypdfium2", Reason.NEEDS_PDF_EXTRA),
        ("photo.heic", "pillow_heif", Reason.NEEDS_HEIF_EXTRA),
    ],
)
def test_without_the_extra_a_row_says_which_one_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, package: str, reason: Reason
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, "zipocr.images.pdf", raising=False)
    monkeypatch.delattr("zipocr.images.pdf", raising=False)
    (unread,) = read(tmp_path, ALIKE[kind])
    assert_unread([unread], reason)
    assert f"pip install 'zipocr[{'pdf' if package == 'pypdfium2' else 'heif'}]'" in unread.detail


def test_files_other_than_pdf_and_heic_need_neither_extra() -> None:
    program = (
        "import sys, zipocr.images.decode; print('pypdfium2' in sys.modules, 'pillow_heif' in "
        "sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout == "False False\n"


def test_a_thousand_pages_of_a_tiff_take_seconds(tmp_path: Path) -> None:
    """Walking to each page from the first would take far longer.

    Measured in CPU time, so that other programs do not matter.
    """
    small = Image.new("1", (30, 20), 1)
    data = tiff(*[small] * 1_000)
    began = time.process_time()
    assert len(read(tmp_path, data)) == 1_000
    assert time.process_time() - began < 10


@pytest.mark.posix
@pytest.mark.parametrize("kind", ["pipe", "device", "socket", "folder"])
def test_a_non_file_gets_one_row_and_is_never_waited_for(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.png"
    {
        "pipe": os.mkfifo,
        "device": lambda path: path.symlink_to("/dev/zero"),
        "socket": corpus.listen_at,
        "folder": Path.mkdir,
    }[kind](path)
    (unread,) = read_pages(path, max_pixels=LIMIT)
    assert_unread([unread], Reason.UNREADABLE_FILE)
    assert "not a file" in unread.detail


def test_a_file_that_is_too_large_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zipocr.images.decode.MAX_FILE_BYTES", 1_000)
    assert_unread(read(tmp_path, SAME_PAGE["gray.png"] + bytes(1_000)), Reason.TOO_LARGE)


@pytest.mark.posix
def test_a_file_without_read_permission_gets_one_row() -> None:
    """As another user if the tests run as root, whom no permission stops."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        folder.chmod(0o755)
        for name in ("open.png", "closed.png"):
            (folder / name).write_bytes(SAME_PAGE["gray.png"])
        (folder / "closed.png").chmod(0)
        with as_nobody():
            (page,) = read_pages(folder / "open.png", max_pixels=LIMIT)
            (unread,) = read_pages(folder / "closed.png", max_pixels=LIMIT)
    np.testing.assert_array_equal(page, PAGE)
    assert unread == Unread(reason=Reason.UNREADABLE_FILE, detail="Permission denied")


@contextmanager
def as_nobody() -> Iterator[None]:
    """Drop root's rights temporarily; other users have none to drop."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_file_that_vanished_after_listing_gets_one_row(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(SAME_PAGE["gray.png"])
    (file,) = list_inputs([tmp_path]).files
    file.path.unlink()
    assert_unread(list(read_pages(file.path, max_pixels=LIMIT)), Reason.UNREADABLE_FILE)


def test_decoder_messages_about_damage_do_not_reach_standard_error(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for kind in ("gray.png", "lzw.tif", "packbits.tif", "gray.jpg"):
        read(tmp_path, corpus.flipped({**SAME_PAGE, **ALIKE}[kind]))
    assert capfd.readouterr().err == ""


def test_pages_of_a_pdf_are_rendered_upright_at_300_dpi(tmp_path: Path) -> None:
    pages = read(
        tmp_path,
        corpus.written_pdf(pages=["/MediaBox[0 0 144 72]", "/MediaBox[0 0 144 72]/Rotate 90"]),
    )
    assert [page.shape for page in pages if not isinstance(page, Unread)] == [
        (300, 600),
        (600, 300),
    ]


def test_the_size_of_a_pdf_page_is_checked_before_it_is_rendered(tmp_path: Path) -> None:
    data = corpus.written_pdf(
        pages=["/MediaBox[0 0 144 72]", "/MediaBox[0 0 14400 14400]", "/MediaBox[0 0 72 72]"]
    )
    assert [getattr(page, "reason", "a page") for page in read(tmp_path, data)] == [
        "a page",
        Reason.TOO_LARGE,
        "a page",
    ]
    assert_unread(
        read(tmp_path, corpus.written_pdf(picture="/Width 32000/Height 32000")), Reason.TOO_LARGE
    )


@pytest.mark.parametrize("place", ["mask", "annotation", "font", "pattern"])
def test_the_size_of_an_image_used_indirectly_is_checked_too(tmp_path: Path, place: str) -> None:
    assert not isinstance(read(tmp_path, corpus.hidden_picture_pdf(place, 90))[0], Unread)
    assert_unread(read(tmp_path, corpus.hidden_picture_pdf(place, 9_000)), Reason.TOO_LARGE)


def test_a_large_image_costs_only_the_pages_that_show_it(tmp_path: Path) -> None:
    pages = ["/MediaBox[0 0 60 20]", "/MediaBox[0 0 60 20]/Resources<<>>"]
    large, other = read(
        tmp_path, corpus.written_pdf(pages=pages, picture="/Width 9000/Height 9000")
    )
    assert_unread([large], Reason.TOO_LARGE)
    assert not isinstance(other, Unread)


def test_an_encrypted_pdf_is_reported_as_encrypted(tmp_path: Path) -> None:
    (unread,) = read(tmp_path, corpus.encrypted_pdf())
    assert_unread([unread], Reason.UNREADABLE_FILE)
    assert "encrypted" in unread.detail


def test_reading_a_pdf_that_claims_more_pages_than_it_has_terminates(tmp_path: Path) -> None:
    pages = read(tmp_path, corpus.written_pdf(count=900_000))
    assert_unread(pages[1:], *[Reason.UNREADABLE_FILE] * MAX_LOST_PAGES)
    assert not isinstance(pages[0], Unread)


def test_non_utf8_names_are_listed_and_read(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.png"))
    path.write_bytes(SAME_PAGE["gray.png"])
    (file,) = list_inputs([tmp_path]).files
    assert os.fsencode(file.name) == b"\xff\xfe.png"
    (page,) = read_pages(file.path, max_pixels=LIMIT)
    np.testing.assert_array_equal(page, PAGE)


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
def test_tiffs_of_fax_machines_and_libtiff_are_read(tmp_path: Path, options: list[str]) -> None:
    source, target = tmp_path / "source.tif", tmp_path / "target.tif"
    source.write_bytes(tiff(bilevel(), bilevel()))
    subprocess.run(["tiffcp", *options, source, target], check=True)
    pages = list(read_pages(target, max_pixels=LIMIT))
    assert len(pages) == 2
    for page in pages:
        np.testing.assert_array_equal(page, PAGE)


@pytest.mark.parametrize(
    ("name", "front"),
    [
        (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0"),
        (b"zTXt", b"Comment\0\0"),
        (b"iCCP", b"profile\0\0"),
    ],
)
@pytest.mark.parametrize("mode", ["L", "RGBA"])
def test_a_png_with_megabytes_of_compressed_text_is_read(
    tmp_path: Path, name: bytes, front: bytes, mode: str
) -> None:
    texts = front + zlib.compress(bytes(3_000_000))
    data = corpus.png_with(encode(Image.fromarray(PAGE).convert(mode), "PNG"), name, texts)
    np.testing.assert_array_equal(read_one(tmp_path, data), PAGE)


@pytest.mark.parametrize("bits", [2, 4])
@pytest.mark.parametrize("photometric", [0, 1, 3])
def test_a_tiff_with_few_bits_per_pixel_is_read(
    tmp_path: Path, bits: int, photometric: int
) -> None:
    page = np.where(PAGE < 128, np.uint8(0), np.uint8(255))
    page[5:9, 5:9] = 85 if bits == 2 else 119
    np.testing.assert_array_equal(
        read_one(tmp_path, corpus.packed_tiff(page, bits=bits, photometric=photometric)), page
    )


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("x.pdf", corpus.xfa_pdf()),
        ("x.tif", corpus.packed_tiff(PAGE, bits=4, photometric=1, samples=65_000)),
    ],
)
def test_library_messages_do_not_reach_standard_error(
    tmp_path: Path, name: str, data: bytes
) -> None:
    (tmp_path / name).write_bytes(data)
    program = (
        "import sys, pathlib, zipocr.images.decode as i; "
        "print(*i.read_pages(pathlib.Path(sys.argv[1]), max_pixels=10**6))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / name],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout
    assert not done.stderr
