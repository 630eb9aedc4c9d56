"""Marks on mail besides addresses: stamps, postmarks, barcodes, frames, imprints."""

import cv2
import numpy as np

from zipocr.training.synthesis.doodles import draw_doodle
from zipocr.training.synthesis.pages.addresses import plain
from zipocr.training.synthesis.pages.canvas import Canvas
from zipocr.training.synthesis.pages.typesetting import draw_print_face, set_lines
from zipocr.training.synthesis.rules_and_clutter import Sketch
from zipocr.training.synthesis.scene_parameters import Rng
from zipocr.training.synthesis.strokes import Coverage
from zipocr.training.synthesis.wording import Part, draw_text, number_text, one_of, town_words

_BARS = {"imb": 65, "planet": 62, "postnet": 62, "postnet5": 32}


def bar_code(rng: Rng, width: float) -> Coverage:
    """Draw a barcode of separate bars, as near addresses, about ``width`` pixels long.

    It has four heights as in the Intelligent Mail barcode, or two as in POSTNET and PLANET.
    """
    name = str(rng.choice(list(_BARS), p=[0.7, 0.1, 0.1, 0.1]))
    count = _BARS[name]
    pitch = max(3.0, width / count)
    tall = pitch * float(rng.uniform(2.2, 3.4))
    thick = max(1, round(pitch * float(rng.uniform(0.35, 0.6))))
    cover = np.zeros((round(tall), round(pitch * count) + thick), np.float32)
    up = rng.random(count) < (0.5 if name == "imb" else 0.4)
    down = rng.random(count) < 0.5 if name == "imb" else np.ones(count, np.bool_)
    short = 0.36 if name == "imb" else 0.55
    for place in range(count):
        left = round(place * pitch)
        first = 0 if up[place] else round(short * tall)
        last = round(tall) if down[place] else round((1 - short) * tall)
        cover[first : max(last, first + 2), left : left + thick] = 1
    return cover


def solid_bar_code(rng: Rng, height: float, width: float) -> Coverage:
    """Draw a barcode of vertical bars of many widths, as on parcels."""
    module = max(2, round(width / 180))
    widths = rng.choice([1, 1, 1, 2, 2, 3, 4], 140) * module
    ends = np.cumsum(widths)
    cover = np.zeros((round(height), int(min(width, ends[-1]))), np.float32)
    for place in range(0, len(ends) - 1, 2):
        cover[:, ends[place] : ends[place + 1]] = 1
    return cover


def matrix_code(rng: Rng, side: float) -> Coverage:
    """Draw a square matrix code of dark and light cells."""
    cells = int(rng.integers(18, 34))
    grid = (rng.random((cells, cells)) < 0.5).astype(np.float32)
    grid[:, 0] = grid[-1] = 1
    return np.kron(grid, np.ones((max(1, round(side / cells)),) * 2, np.float32))


def frame(shape: tuple[int, int], width: float) -> Coverage:
    """Draw a rectangle along the edges of a sheet."""
    sketch = Sketch(shape)
    low, right, inset = shape[0] - 1.0 - width, shape[1] - 1.0 - width, width
    corners = [[inset, inset], [right, inset], [right, low], [inset, low], [inset, inset]]
    sketch.path(np.array(corners), width)
    return sketch.cover


def draw_stamp(rng: Rng, part: Part, size: float) -> Canvas:
    """Draw a stamp about ``size`` pixels wide: a picture, a value, sometimes a number."""
    shape = (round(size * float(rng.uniform(0.8, 1.35))), round(size))
    stamp = Canvas(shape, float(rng.uniform(205, 250)))
    inner = (shape[0] - shape[0] // 6, shape[1] - shape[1] // 6)
    top, left = shape[0] // 12, shape[1] // 12
    tint = np.full(inner, float(rng.uniform(0.2, 0.9)), np.float32)
    stamp.ink(tint, top, left, float(rng.uniform(90, 190)))
    kind = "texture" if rng.random() < 0.6 else "doodle"
    stamp.ink(draw_doodle(rng, kind, part, inner, 3.0), top, left, float(rng.uniform(30, 120)))
    value = one_of(rng, ("USA", "FOREVER", f"{rng.integers(1, 90)}c", "USA 29", "FIRST-CLASS"))
    lettering = set_lines(rng, plain([value]), draw_print_face(rng, part), size * 0.11)
    lettering = lettering.fitted(shape[0] * 0.3, shape[1] * 0.8)
    stamp.ink(lettering.cover, top + (rng.random() < 0.5) * inner[0] * 0.7, left, 20)
    return stamp


def postmark(rng: Rng, part: Part, size: float) -> Coverage:
    """Draw a round postmark ``size`` pixels high with a town and a date, and waves beside it."""
    waves = size * float(rng.uniform(1.2, 2.4)) if rng.random() < 0.75 else 0.0
    sketch = Sketch((round(size * 1.1), round(size * 1.1 + waves)))
    middle, width = size * 0.55, max(1.5, size * 0.018)
    turn = np.linspace(0, 2 * np.pi, 60)
    for radius in (0.5, 0.33) if rng.random() < 0.5 else (0.5,):
        circle = middle + size * radius * np.column_stack([np.cos(turn), np.sin(turn)])
        sketch.path(circle, width)
    for row in np.linspace(0.15, 0.85, int(rng.integers(4, 8))) * size if waves else ():
        x = np.linspace(size * 1.1, size * 1.08 + waves, 50)
        y = row + size * 0.04 * np.sin(x * 2 * np.pi / (size * 0.5))
        sketch.path(np.column_stack([x, y]), width * 1.5)
    words = [one_of(rng, town_words(part)).upper(), draw_text(rng, "date", part)]
    if rng.random() < 0.4:
        words.append(one_of(rng, ("PM", "AM", "USPS", number_text(rng, 3, 5))))
    text = set_lines(rng, plain(words), draw_print_face(rng, part), size * 0.1, is_centred=True)
    text = text.fitted(size * 0.7, size * 0.85)
    canvas, (rows, columns) = sketch.cover, text.cover.shape
    top, left = round(middle - rows / 2), round(middle - columns / 2)
    window = canvas[top : top + rows, left : left + columns]
    np.maximum(window, text.cover[: window.shape[0], : window.shape[1]], out=window)
    return canvas


def worn_away(rng: Rng, cover: Coverage) -> Coverage:
    """Return the uneven ink of a rubber stamp."""
    coarse = rng.random((cover.shape[0] // 12 + 2, cover.shape[1] // 12 + 2), np.float32)
    large = cv2.resize(coarse, cover.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(cover * np.clip(large * float(rng.uniform(0.9, 2)), 0, 1), np.float32)


def draw_imprint(rng: Rng, part: Part, height: float) -> Canvas:
    """Draw a framed permit or franking imprint with words and numbers."""
    town = one_of(rng, town_words(part)).upper()
    permit, date = f"PERMIT NO {number_text(rng, 2, 3, 4, 5)}", draw_text(rng, "date", part)
    value, code = f"$ {rng.integers(0, 9)}.{rng.integers(10, 99)}", number_text(rng, 7, 8)
    permits = (
        ["PRESORTED", "FIRST-CLASS MAIL", "US POSTAGE PAID", town, permit],
        ["NONPROFIT ORG", "U.S. POSTAGE", "PAID", permit],
        ["US POSTAGE", value, date, code, f"MAILED FROM {number_text(rng, 5)}"],
        ["FIRST-CLASS", code, date],
    )
    words = permits[int(rng.integers(len(permits)))]
    text = set_lines(
        rng, plain(words), draw_print_face(rng, part), height, leading=1.6, is_centred=True
    )
    shape = (text.cover.shape[0] + round(height), text.cover.shape[1])
    imprint = Canvas(shape, 255)
    imprint.ink(text.cover, height / 2, 0, 0)
    if rng.random() < 0.7:
        imprint.ink(frame(shape, max(1.0, height * 0.1)), 0, 0, 0)
    return imprint
