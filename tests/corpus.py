"""Bad and odd inputs by name, built the same on every run.

Every entry has the rows it must produce. `SAME` is the row of the plain page, except for its name;
`ZIP` is its ZIP with any confidence (lossy formats); `PAGE` is anything that was opened; `ANY` is
anything at all (damage that may or may not matter); a `Reason` is the reason of an unread page.
"""

import io
import os
import socket
import struct
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from zipocr.types import GrayImage, Reason

PAPER, INK = 255, 0
TEXT = "02108"
SAME, ZIP, PAGE, ANY = "same", "zip", "page", "any"
BAD, LARGE = Reason.UNREADABLE_FILE, Reason.TOO_LARGE
SEED = 5
SPECK = Image.new("1", (8, 8), 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """An input: how to create it, and the rows that it must produce."""

    name: str
    make: Callable[[Path], object]
    rows: tuple[str, ...]


def draw_page() -> GrayImage:
    """A page that every reader can read, in pure black and white."""
    page = np.full((70, 260), PAPER, np.uint8)
    cv2.putText(page, " ".join(TEXT), (15, 52), cv2.FONT_HERSHEY_SIMPLEX, 1.4, INK, 4)
    return np.where(page < 128, INK, PAPER).astype(np.uint8)


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def tiff(*pages: Image.Image, compression: str = "group4", **options: Any) -> bytes:
    return encode(
        pages[0], "TIFF", save_all=True, append_images=pages[1:], compression=compression, **options
    )


def bilevel(page: GrayImage) -> Image.Image:
    return Image.fromarray(page).convert("1")


def ink_only_in_alpha(page: GrayImage, mode: str) -> Image.Image:
    pixels = np.zeros((*page.shape, len(mode)), np.uint8)
    pixels[..., -1] = PAPER - page
    return Image.fromarray(pixels)


def transparent_palette(page: GrayImage) -> Image.Image:
    image = Image.fromarray((page == INK).astype(np.uint8)).convert("P")
    image.putpalette([0, 0, 0, 0, 0, 0])
    return image


def turned(page: GrayImage, orientation: int) -> tuple[GrayImage, Image.Exif]:
    """The page as it is stored with an EXIF orientation, and the EXIF that declares it."""
    back = {
        2: page[:, ::-1],
        3: page[::-1, ::-1],
        4: page[::-1],
        5: page.T,
        6: page.T[::-1],
        7: page.T[::-1, ::-1],
        8: page.T[:, ::-1],
    }
    exif = Image.Exif()
    exif[0x112] = orientation
    return np.ascontiguousarray(back[orientation]), exif


def heic(image: Image.Image) -> bytes:
    from pillow_heif import from_pillow

    data = io.BytesIO()
    from_pillow(image).save(data, quality=95)
    return data.getvalue()


def scanned_pdf(*pages: Image.Image) -> bytes:
    """A PDF as scanners make it: one image per page, at 300 dpi."""
    return encode(pages[0], "PDF", save_all=True, append_images=pages[1:], resolution=300)


def written_pdf(
    *,
    pages: Sequence[str] = ("/MediaBox[0 0 60 20]",),
    count: int | None = None,
    picture: str = "",
    trailer: str = "",
) -> bytes:
    """A hand-written PDF with these entries for its pages and for object 3, an image."""
    kids = " ".join(f"{5 + place} 0 R" for place in range(len(pages)))
    bodies = [
        "<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Kids[{kids}]/Count {len(pages) if count is None else count}>>",
        "<</Type/XObject/Subtype/Image/BitsPerComponent 8/ColorSpace/DeviceGray/Length "
        f"3{picture}>>stream\nabc\nendstream",
        "<</Length 26>>stream\nq 60 0 0 20 0 0 cm /P Do Q\nendstream",
        *(
            f"<</Type/Page/Parent 2 0 R/Resources<</XObject<</P 3 0 R>>>>/Contents 4 0 R{page}>>"
            for page in pages
        ),
    ]
    return pdf_of(bodies, trailer)


def pdf_of(bodies: Sequence[str], trailer: str = "") -> bytes:
    """A PDF of some objects, the first of which is its catalog."""
    text, places = "%PDF-1.4\n", []
    for number, body in enumerate(bodies, start=1):
        places.append(len(text))
        text += f"{number} 0 obj\n{body}\nendobj\n"
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    text += f"xref\n0 {len(bodies) + 1}\n0000000000 65535 f \n{table}"
    return f"{text}trailer\n<</Size {len(bodies) + 1}/Root 1 0 R{trailer}>>\nstartxref\n{text.index('xref')}\n%%EOF\n".encode()


def xfa_pdf() -> bytes:
    """A PDF with an XFA form, which PDFium is usually built without."""
    return written_pdf().replace(b"/Catalog", b"/Catalog/AcroForm<</XFA(x)/Fields[]>>")


def packed_tiff(page: GrayImage, *, bits: int, photometric: int, samples: int = 1) -> bytes:
    """A grayscale TIFF with a few bits per pixel.

    White is 0 (photometric 0), black is 0 (1), or with a palette of grays (3).
    """
    levels = (1 << bits) - 1
    values = page.astype(np.uint16) * levels // 255
    values = levels - values if photometric == 0 else values
    values = np.pad(values, ((0, 0), (0, -page.shape[1] % (8 // bits))))
    shifts = range(8 - bits, -1, -bits)
    rows = sum(
        (values[:, place :: 8 // bits] << shift for place, shift in enumerate(shifts)),
        np.zeros((), np.uint16),
    ).astype(np.uint8)
    palette = struct.pack(
        f"<{3 * (levels + 1)}H", *[value * 0xFFFF // levels for value in range(levels + 1)] * 3
    )
    tags = {
        256: page.shape[1],
        257: page.shape[0],
        258: bits,
        259: 1,
        262: photometric,
        277: samples,
        278: page.shape[0],
        279: rows.size,
    }
    begin = 8 + 2 + 12 * (len(tags) + 2) + 4
    entries = {tag: (4, 1, value) for tag, value in tags.items()}
    entries |= {273: (4, 1, begin + len(palette)), 320: (3, 3 * (levels + 1), begin)}
    directory = b"".join(
        struct.pack("<HHII", tag, *entry) for tag, entry in sorted(entries.items())
    )
    return (
        b"II*\0"
        + struct.pack("<IH", 8, len(entries))
        + directory
        + bytes(4)
        + palette
        + rows.tobytes()
    )


def png_with(data: bytes, name: bytes, body: bytes) -> bytes:
    """A PNG with an extra chunk after its header, and again at its end."""
    chunk = struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    return data[:33] + chunk + data[33:-12] + chunk + data[-12:]


def hidden_picture_pdf(place: str, side: int) -> bytes:
    """A PDF whose page shows a large picture as a mask, in an annotation, a glyph or a pattern."""
    picture = "/Type/XObject/Subtype/Image/BitsPerComponent 8/ColorSpace/DeviceGray/Length 3"
    own, contents = {
        "mask": ("/Resources<</XObject<</P 5 0 R>>>>", "q 60 0 0 20 0 0 cm /P Do Q"),
        "annotation": (
            "/Annots[<</Type/Annot/Subtype/Stamp/F 4/Rect[0 0 60 20]/AP<</N 7 0 R>>>>]",
            "",
        ),
        "font": ("/Resources<</Font<</T 8 0 R>>>>", "BT /T 20 Tf (a) Tj ET"),
        "pattern": ("/Resources<</Pattern<</T 9 0 R>>>>", "/Pattern cs /T scn 0 0 60 20 re f"),
    }[place]
    shown = "q 60 0 0 20 0 0 cm /M Do Q"
    inside = (
        "/Resources<</XObject<</M 6 0 R>>>>/BBox[0 0 60 20]/Length "
        f"{len(shown)}>>stream\n{shown}\nendstream"
    )
    glyph = (
        "<</Type/Font/Subtype/Type3/FontBBox[0 0 1 1]/FontMatrix[1 0 0 1 0 0]/FirstChar "
        "97/LastChar 97/Widths[1]"
    )
    return pdf_of(
        [
            "<</Type/Catalog/Pages 2 0 R>>",
            "<</Type/Pages/Kids[3 0 R]/Count 1>>",
            f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 60 20]/Contents 4 0 R{own}>>",
            f"<</Length {len(contents)}>>stream\n{contents}\nendstream",
            f"<<{picture}/Width 3/Height 1/SMask 6 0 R>>stream\nabc\nendstream",
            f"<<{picture}/Width {side}/Height {side}>>stream\nabc\nendstream",
            f"<</Type/XObject/Subtype/Form{inside}",
            f"{glyph}/Encoding<</Differences[97/a]>>/CharProcs<</a 7 0 "
            "R>>/Resources<</XObject<</M 6 0 R>>>>>>",
            f"<</Type/Pattern/PatternType 1/PaintType 1/TilingType 1/XStep 60/YStep 20{inside}",
        ]
    )


def endless_pdf() -> bytes:
    """A PDF whose only page takes forever to draw.

    Each of its forms draws the next one ten times.
    """
    shown = [f"/XObject<</F {number} 0 R>>" for number in range(5, 15)]
    bodies = ["<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Kids[3 0 R]/Count 1>>"]
    bodies += [
        f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 60 20]/Contents 4 0 R/Resources<<{shown[0]}>>>>"
    ]
    bodies += ["<</Length 6>>stream\n/F Do \nendstream"]
    form = (
        "<</Type/XObject/Subtype/Form/BBox[0 0 60 20]/Resources<<{}>>/Length "
        "60>>stream\n{}\nendstream"
    )
    bodies += [form.format(resources, "/F Do " * 10) for resources in shown[1:]]
    bodies += [form.format("", "0 0 m 9 9 l S".ljust(60))]
    return pdf_of(bodies)


def encrypted_pdf() -> bytes:
    key = "00" * 32
    return written_pdf(
        trailer=f"/ID[<{key}><{key}>]/Encrypt<</Filter/Standard/V 1/R 2/O<{key}>/U<{key}>/P -4>>"
    )


def png_bomb(side: int) -> bytes:
    """A PNG that claims to be ``side`` pixels square and contains almost nothing."""

    def part(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + part(b"IHDR", header)
        + part(b"IDAT", zlib.compress(b"\0" * 1_000))
        + part(b"IEND", b"")
    )


def tiff_bomb(side: int, *, page: int = 0, pages: Sequence[Image.Image] = ()) -> bytes:
    """A TIFF in which page number ``page`` claims to be ``side`` pixels square."""
    data = bytearray(tiff(*pages or [SPECK], compression="raw"))
    place = first_directory(data)
    for _ in range(page):
        place = next_directory(data, place)
    for entry in range(place + 2, place + 2 + 12 * struct.unpack_from("<H", data, place)[0], 12):
        if struct.unpack_from("<H", data, entry)[0] in {256, 257}:
            struct.pack_into("<HII", data, entry + 2, 4, 1, side)
    return bytes(data)


def tile_bomb(side: int) -> bytes:
    """A small TIFF whose tiles claim to be ``side`` pixels square."""
    entries = [
        (256, 20),
        (257, 20),
        (258, 8),
        (259, 1),
        (262, 1),
        (322, side),
        (323, side),
        (324, 8),
        (325, 100),
    ]
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + directory + bytes(4)


def scanned_often(page: GrayImage, times: int) -> bytes:
    """A progressive JPEG whose last scan is repeated."""
    data = encode(Image.fromarray(page), "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + times * last + data[-2:]


def first_directory(data: bytes | bytearray) -> int:
    return int(struct.unpack_from("<I", data, 4)[0])


def next_directory(data: bytes | bytearray, place: int) -> int:
    (entries,) = struct.unpack_from("<H", data, place)
    return int(struct.unpack_from("<I", data, place + 2 + 12 * entries)[0])


def tiff_in_a_circle(page: Image.Image) -> bytes:
    data = bytearray(tiff(page))
    place = first_directory(data)
    struct.pack_into("<I", data, place + 2 + 12 * struct.unpack_from("<H", data, place)[0], place)
    return bytes(data)


def damaged_tiff(*pages: Image.Image, page: int, compression: str = "tiff_lzw") -> bytes:
    """A TIFF in which the middle of one page's pixel data is overwritten."""
    data = tiff(*pages, compression=compression)
    with Image.open(io.BytesIO(data)) as image:
        image.seek(page)
        start, length = image.tag_v2[273][0], image.tag_v2[279][0]  # type: ignore[attr-defined]
    middle = start + length // 2
    return data[:middle] + b"\xff" * 40 + data[middle + 40 :]


def flipped(data: bytes, *, bits: int = 12) -> bytes:
    """The same bytes with some bits flipped, none in the first forty bytes."""
    chance = np.random.default_rng(SEED)
    changed = bytearray(data)
    for place in chance.integers(40, len(data), bits):
        changed[place] ^= 1 << int(chance.integers(8))
    return bytes(changed)


def whole_files(page: GrayImage) -> dict[str, bytes]:
    """The page in every lossless kind of file, by name."""
    gray, colour = Image.fromarray(page), Image.fromarray(page).convert("RGB")
    deep, white_is_0 = Image.fromarray(page.astype(np.uint16) * 257), {"tiffinfo": {262: 0}}
    stored = {number: turned(page, number) for number in range(2, 9)}
    return {
        "gray.png": encode(gray, "PNG"),
        "colour.png": encode(colour, "PNG"),
        "palette.png": encode(gray.convert("P"), "PNG"),
        "bilevel.png": encode(bilevel(page), "PNG"),
        "16 bit.png": encode(deep, "PNG"),
        "alpha.png": encode(ink_only_in_alpha(page, "RGBA"), "PNG"),
        "gray alpha.png": encode(ink_only_in_alpha(page, "LA"), "PNG"),
        "transparent palette.png": encode(transparent_palette(page), "PNG", transparency=0),
        "white on black.png": encode(Image.fromarray(PAPER - page), "PNG"),
        "animated.png": encode(
            colour, "PNG", save_all=True, append_images=[Image.new("RGB", colour.size)]
        ),
        "gray.bmp": encode(gray, "BMP"),
        "bilevel.bmp": encode(bilevel(page), "BMP"),
        "lossless.webp": encode(colour, "WEBP", lossless=True),
        "alpha.webp": encode(ink_only_in_alpha(page, "RGBA"), "WEBP", lossless=True, exact=True),
        "raw.tif": encode(gray, "TIFF"),
        "big.tif": encode(gray, "TIFF", big_tiff=True),
        "palette.tif": encode(gray.convert("P"), "TIFF"),
        "16 bit.tif": encode(deep, "TIFF"),
        "16 bit, white is 0.tif": encode(
            Image.fromarray((PAPER - page).astype(np.uint16) * 257), "TIFF", **white_is_0
        ),
        "cmyk.tif": encode(colour.convert("CMYK"), "TIFF"),
        "alpha.tif": encode(ink_only_in_alpha(page, "RGBA"), "TIFF"),
        "gray alpha.tif": encode(ink_only_in_alpha(page, "LA"), "TIFF"),
        "g3.tif": tiff(bilevel(page), compression="group3"),
        "g4.tif": tiff(bilevel(page)),
        "g4, white is 0.tif": tiff(bilevel(page), **white_is_0),
        "white is 0.tif": encode(gray, "TIFF", **white_is_0),
        "swapped fax.tif": tiff(bilevel(PAPER - page)),
        "lzw.tif": tiff(gray, compression="tiff_lzw"),
        "deflate.tif": tiff(gray, compression="tiff_adobe_deflate"),
        "packbits.tif": tiff(gray, compression="packbits"),
        "circle.tif": tiff_in_a_circle(bilevel(page)),
        **{
            f"orientation {number}.png": encode(Image.fromarray(pixels), "PNG", exif=exif)
            for number, (pixels, exif) in stored.items()
        },
        "orientation 6.tif": encode(Image.fromarray(stored[6][0]), "TIFF", exif=stored[6][1]),
        "a bmp.png": encode(gray, "BMP"),
        "LOUD.PNG": encode(gray, "PNG"),
        "with a tail.png": encode(gray, "PNG") + b"\n" * 1_000,
    }


def lossy_files(page: GrayImage) -> dict[str, bytes]:
    """The page in every kind of file that changes its grays slightly, by name."""
    gray, colour = Image.fromarray(page), Image.fromarray(page).convert("RGB")
    pixels, exif = turned(page, 6)
    return {
        "gray.jpg": encode(gray, "JPEG", quality=95),
        "progressive.jpg": encode(colour, "JPEG", quality=95, progressive=True),
        "cmyk.jpg": encode(colour.convert("CMYK"), "JPEG", quality=95),
        "orientation 6.jpg": encode(Image.fromarray(pixels), "JPEG", quality=95, exif=exif),
        "two pictures.jpg": encode(
            colour, "MPO", quality=95, save_all=True, append_images=[Image.new("RGB", colour.size)]
        ),
        "lossy.webp": encode(colour, "WEBP", quality=95),
        "jpeg.tif": tiff(gray, compression="jpeg"),
        "photo.heic": heic(colour),
        "alpha.heif": heic(ink_only_in_alpha(page, "RGBA")),
        "scan.pdf": scanned_pdf(gray),
    }


def odd_pages() -> dict[str, bytes]:
    """Pages of unusual sizes and contents, by name."""
    noise = np.random.default_rng(SEED).integers(0, 256, (90, 200), dtype=np.uint8)
    shapes = {
        "pixel": (1, 1),
        "flat strip": (1, 10_000),
        "tall strip": (10_000, 1),
        "long strip": (40, 10_000),
        "two rows": (2, 300),
    }
    empty = {name: np.full(shape, PAPER, np.uint8) for name, shape in shapes.items()}
    dotted = {f"dotted {name}": stroke_every(page, 7) for name, page in empty.items()}
    others = {
        "noise": noise,
        "black": np.zeros((60, 90), np.uint8),
        "checks": np.indices((64, 64)).sum(axis=0).astype(np.uint8) % 2 * 255,
    }
    return {
        f"{name}.png": encode(Image.fromarray(page), "PNG")
        for name, page in {**empty, **dotted, **others}.items()
    }


def stroke_every(page: GrayImage, step: int) -> GrayImage:
    marked = page.copy()
    marked[::step, ::step] = INK
    return marked


def damaged_files(page: GrayImage) -> dict[str, tuple[bytes, str]]:
    """Files that are not valid images, by name, each with the expected result of its one row."""
    whole = {**whole_files(page), **lossy_files(page)}
    halved = [
        "gray.png",
        "alpha.png",
        "gray.jpg",
        "gray.bmp",
        "lossless.webp",
        "raw.tif",
        "g4.tif",
        "lzw.tif",
        "photo.heic",
        "scan.pdf",
    ]
    zipped = b"PK\x03\x04" + bytes(60)
    return {
        "empty.png": (b"", BAD),
        "zeros.png": (bytes(5_000), BAD),
        "text.png": (b"These are words, not pixels.\n" * 20, BAD),
        "page.html.jpg": (b"<!DOCTYPE html><title>Log in to see this scan</title>", BAD),
        "archive.tif": (zipped, BAD),
        "movie.png": (encode(Image.fromarray(page), "GIF"), BAD),
        "._fork.png": (b"\0\5\x16\7\0\2\0\0Mac OS X" + bytes(100), BAD),
        "signature.png": (whole["gray.png"][:8], BAD),
        "signature.tif": (b"II*\0", BAD),
        "signature.heic": (b"\0\0\0\x18ftypheic", BAD),
        "signature.pdf": (b"%PDF-1.7\n1 0 obj\n", BAD),
        "no pages.tif": (b"II*\0\0\0\0\0", BAD),
        "far away.tif": (b"II*\0\xff\xff\xff\x7f", BAD),
        "no pages.pdf": (written_pdf(pages=()), BAD),
        "encrypted.pdf": (encrypted_pdf(), BAD),
        "overwritten.tif": (damaged_tiff(Image.fromarray(page), page=0), BAD),
        "bomb.png": (png_bomb(32_000), LARGE),
        "large.png": (png_bomb(8_000), LARGE),
        "bomb.tif": (tiff_bomb(32_000), LARGE),
        "bomb.pdf": (written_pdf(pages=("/MediaBox[0 0 14400 14400]",)), LARGE),
        "picture bomb.pdf": (written_pdf(picture="/Width 32000/Height 32000"), LARGE),
        **{f"half {name}": (whole[name][: len(whole[name]) // 2], BAD) for name in halved},
        **{f"flipped {name}": (flipped(data), ANY) for name, data in whole.items()},
    }


def pages_apart(page: GrayImage) -> dict[str, tuple[bytes, tuple[str, ...]]]:
    """Files of several pages, by name, each with its expected rows."""
    fax, gray = bilevel(page), Image.fromarray(page)
    mixed = tiff(fax, ink_only_in_alpha(page, "RGBA"), gray, compression="tiff_lzw")
    large = tiff_bomb(32_000, page=1, pages=[fax, fax, fax])
    lying = written_pdf(pages=["/MediaBox[0 0 60 20]"], count=900_000)
    return {
        "three.tif": (tiff(fax, fax, fax), (SAME,) * 3),
        "hundred.tif": (tiff(*[Image.new("1", (9, 9), 1)] * 100), (Reason.NO_INK,) * 100),
        "mixed.tif": (mixed, (SAME,) * 3),
        "bomb between.tif": (large, (SAME, LARGE, SAME)),
        "damage between.tif": (damaged_tiff(gray, gray, gray, page=1), (SAME, BAD, SAME)),
        "cut after one.tif": (cut_after_first_page(tiff(fax, fax)), (SAME, BAD)),
        "three.pdf": (scanned_pdf(gray, gray, gray), (ZIP,) * 3),
        "lying.pdf": (lying, (PAGE, *(BAD,) * 20)),
    }


def cut_after_first_page(data: bytes) -> bytes:
    return data[: next_directory(data, first_directory(data)) + 2]


def named_files() -> list[str]:
    """Names that trip up programs, spreadsheets and people."""
    plain = [
        "two  spaces.png",
        " space before.png",
        "line\nend.png",
        'quote".png',
        "it's.png",
        "a,b;c.png",
        "tab\t.png",
        "back\\slash.png",
    ]
    formulas = ["=cmd.png", "+cmd.png", "-cmd.png", "@cmd.png", "＝cmd.png"]  # noqa: RUF001 - full-width on purpose
    foreign = [
        "Grüße 日本.png",
        "\U0001f4ee.png",
        "\u202egnp.exe.png",
        "$(reboot).png",
        "%s%n.png",
        "--help.png",
        "*.png",
    ]
    return [
        *plain,
        *formulas,
        *foreign,
        os.fsdecode(b"\xff\xfe.png"),
        "x" * 251 + ".png",
        "\x1b[2J.png",
        "a.png.png",
        "..png",
    ]


def not_files() -> dict[str, tuple[Callable[[Path], object], tuple[str, ...]]]:
    """Inputs that are named like an image file but are not one, by name."""
    return {
        "pipe.png": (os.mkfifo, (BAD,)),
        "pipe.pdf": (os.mkfifo, (BAD,)),
        "socket.png": (listen_at, (BAD,)),
        "dangling.png": (lambda path: path.symlink_to("nowhere.png"), (BAD,)),
        "loop.png": (lambda path: path.symlink_to(path), (BAD,)),
        "endless.png": (lambda path: path.symlink_to("/dev/zero"), (BAD,)),
        "device.png": (lambda path: path.symlink_to("/dev/tty"), (BAD,)),
        "folder link.png": (lambda path: path.symlink_to(".", target_is_directory=True), (BAD,)),
        "broken disk.png": (
            lambda path: path.symlink_to("/proc/self/mem"),
            (BAD,),
        ),  # opens, but cannot be read
        "empty folder.png": (Path.mkdir, (BAD,)),
        "huge.png": (make_huge, (LARGE,)),
        "notes.txt": (Path.touch, ()),
        "Thumbs.db": (Path.touch, ()),
    }


def listen_at(path: Path) -> None:
    """Leave a socket behind, even if its path is too long for a socket address."""
    here = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(path.name)
    finally:
        os.chdir(here)


def make_huge(path: Path) -> None:
    """A sparse file of 64 GB that takes no space."""
    with path.open("wb") as file:
        file.truncate(2**36)


def inputs() -> Iterable[Input]:
    """The whole corpus."""
    page = draw_page()

    def file(name: str, data: bytes, *rows: str) -> Input:
        return Input(name=name, make=lambda path: path.write_bytes(data), rows=rows)

    plain = encode(Image.fromarray(page), "PNG")
    yield from (file(name, data, SAME) for name, data in whole_files(page).items())
    yield from (file(name, data, ZIP) for name, data in lossy_files(page).items())
    yield from (file(name, data, PAGE) for name, data in odd_pages().items())
    yield from (
        file(name, data, expected) for name, (data, expected) in damaged_files(page).items()
    )
    yield from (file(name, data, *rows) for name, (data, rows) in pages_apart(page).items())
    yield from (file(name, plain, SAME) for name in named_files())
    yield from (
        Input(name=name, make=make, rows=rows) for name, (make, rows) in not_files().items()
    )
    yield file("full folder.png/inside.png", plain, SAME)
    yield file(os.fsdecode(b"\xe9t\xe9/a b.png"), plain, SAME)


def build(folder: Path) -> dict[str, tuple[str, ...]]:
    """Create the corpus in a folder; return its names and the rows they must produce."""
    expected = {}
    for one in inputs():
        path = folder / one.name
        path.parent.mkdir(parents=True, exist_ok=True)
        one.make(path)
        assert one.name not in expected, one.name
        expected[one.name] = one.rows
    return expected
