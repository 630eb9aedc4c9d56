"""Text on mail besides ZIPs: names, streets, dates, telephone numbers, foreign postcodes.

Training and measurements use different words.

No text has five or nine consecutive digits, which would be indistinguishable from a ZIP.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Literal, TypeAlias
from zlib import crc32

from zipocr.decode.directory import places
from zipocr.training.synthesis.scene_parameters import Rng
from zipocr.types import MAX_DIGITS, ZIP_LENGTH

Part: TypeAlias = Literal["train", "test"]
_FIXED: Mapping[Part, Mapping[str, tuple[str, ...]]] = {
    "train": {
        "street": ("St", "Ave", "Rd", "Blvd", "Drive", "Lane", "Terrace"),
        "state": (
            "AL", "AZ", "CO", "DE", "GA", "ID", "IN", "KS", "LA", "MD", "MI", "MO", "NE", "NH",
            "NM", "NC", "OH", "OR", "RI", "SD",
        ),
        "given": (
            "John", "Maria", "Robert", "Linda", "William", "Susan", "David", "Karen", "Joseph",
            "Nancy", "Zoe", "Hugo",
        ),
        "mail": (
            "Return", "Sender", "Fragile", "Priority", "Airmail", "Photos", "Please", "forward",
            "Personal", "Postage", "URGENT", "FIRST",
            "CLASS", "Suite", "Box",
        ),
        "month": ("Jan", "March", "May", "July", "Sept", "Nov"),
    },
    "test": {
        "street": ("Street", "Court", "Hwy", "Way", "Pkwy", "Place", "Circle"),
        "state": (
            "AK", "AR", "CA", "CT", "FL", "HI", "IL", "IA", "KY", "ME", "MA", "MN", "MS", "MT",
            "NV", "NJ", "NY", "ND", "OK", "PA",
        ),
        "given": (
            "James", "Patricia", "Michael", "Barbara", "Thomas", "Jessica", "Daniel", "Lisa",
            "Anthony", "Helen", "Ines", "Oscar",
        ),
        "mail": (
            "Express", "Handle", "Care", "Attn", "Occupant", "Resident", "Certified",
            "Registered", "Contents", "Deliver", "Invoice",
            "Statement", "Enclosed", "BILL", "MEDIA",
        ),
        "month": ("February", "April", "June", "August", "October", "December"),
    },
}  # fmt: skip


def fixed_words(part: Part, kind: str) -> tuple[str, ...]:
    """Return the words of a part: ``street``, ``state``, ``given``, ``mail`` or ``month``."""
    return _FIXED[part][kind]


@lru_cache(maxsize=2)
def town_words(part: Part) -> tuple[str, ...]:
    """Return words of three or more letters in US town names, sorted; two thirds for training."""
    words = {
        word for place in places().values() for word in re.findall("[A-Za-z]{3,12}", place.city)
    }
    return tuple(
        sorted(
            word for word in words if (crc32(word.lower().encode()) % 3 < 2) == (part == "train")
        )
    )


def one_of(rng: Rng, words: tuple[str, ...]) -> str:
    """Draw one of the words."""
    return words[int(rng.integers(len(words)))]


def number_text(rng: Rng, *counts: int) -> str:
    """Draw a number without a leading 0, with one of the given counts of digits."""
    count = int(rng.choice(counts))
    return str(rng.integers(1, 10)) + "".join(map(str, rng.integers(0, 10, count - 1)))


def holds_zip(text: str) -> bool:
    """Return whether consecutive digits could be a ZIP, or a ZIP+4 with its dash."""
    return any(
        len(run.replace("-", "")) in {ZIP_LENGTH, MAX_DIGITS}
        for run in re.findall(r"\d[\d-]*", text)
    )


def _word(rng: Rng, part: Part) -> str:
    return (
        one_of(rng, town_words(part)) if rng.random() < 0.75 else one_of(rng, _FIXED[part]["mail"])
    )


def _words(rng: Rng, part: Part) -> str:
    return " ".join(_word(rng, part) for _ in range(int(rng.integers(2, 4))))


def _capitals(rng: Rng, part: Part) -> str:
    return (_words if rng.random() < 0.4 else _word)(rng, part).upper()


def _street(rng: Rng, part: Part) -> str:
    number, town = number_text(rng, 1, 2, 3, 3, 4, 4), one_of(rng, town_words(part))
    text = f"{number} {town} {one_of(rng, _FIXED[part]['street'])}"
    return (
        f"{text} {'Apt' if part == 'train' else 'Unit'} {number_text(rng, 1, 2)}"
        if rng.random() < 0.2
        else text
    )


def _box(rng: Rng, part: Part) -> str:
    before = ("PO Box", "P.O. Box", "Box") if part == "train" else ("Drawer", "POB", "RR 2 Box")
    return f"{one_of(rng, before)} {number_text(rng, 1, 2, 3, 4, 6)}"


def _date(rng: Rng, part: Part) -> str:
    month, day, year = (
        int(rng.integers(1, 13)),
        int(rng.integers(1, 29)),
        int(rng.integers(1960, 2027)),
    )
    plain = f"{month:02}/{day:02}/{year}" if part == "train" else f"{day:02}.{month:02}.{year}"
    return plain if rng.random() < 0.6 else f"{one_of(rng, _FIXED[part]['month'])} {day}, {year}"


def _phone(rng: Rng, part: Part) -> str:
    area, first, last = (number_text(rng, count) for count in (3, 3, 4))
    return f"({area}) {first}-{last}" if part == "train" else f"{area}.{first}.{last}"


def _price(rng: Rng, part: Part) -> str:
    return (
        f"{'$' if part == 'train' else 'USD '}{number_text(rng, 1, 2, 4)}.{rng.integers(10, 100)}"
    )


def _postcode(rng: Rng, part: Part) -> str:
    """Draw a foreign postcode.

    Letters and digits, or four or six digits beside a town's name.
    """
    first, second, third = (chr(65 + int(letter)) for letter in rng.integers(0, 26, 3))
    if part == "train":
        forms = (
            f"{first}{rng.integers(10)}{second} {rng.integers(10)}{third}{rng.integers(10)}",
            f"CH-{number_text(rng, 4)}",
        )
    else:
        forms = (
            f"{first}{second}{rng.integers(1, 30)} {rng.integers(1, 10)}{second}{third}",
            f"{number_text(rng, 4)} {first}{second}",
        )
    return one_of(rng, (*forms, f"{one_of(rng, town_words(part))} {number_text(rng, 4, 6)}"))


def _town(rng: Rng, part: Part) -> str:
    return f"{one_of(rng, town_words(part))}, {one_of(rng, _FIXED[part]['state'])}"


def draw_name(rng: Rng, part: Part) -> str:
    """Draw a person's name."""
    return f"{one_of(rng, _FIXED[part]['given'])} {one_of(rng, town_words(part))}"


TEXTS: Mapping[str, Callable[[Rng, Part], str]] = {
    "word": _word,
    "words": _words,
    "capitals": _capitals,
    "street": _street,
    "box": _box,
    "date": _date,
    "phone": _phone,
    "price": _price,
    "postcode": _postcode,
}
"""Kinds of single lines."""


def draw_text(rng: Rng, kind: str, part: Part) -> str:
    """Draw a line of a kind without a ZIP."""
    while True:
        text = TEXTS[kind](rng, part)
        if not holds_zip(text):
            return text


def draw_town_line(rng: Rng, part: Part, zip_code: str) -> str:
    """Draw the last line of an address, or a ZIP before its town."""
    if rng.random() < 0.3:
        return f"{zip_code} {_word(rng, part)}"
    town = _town(rng, part)
    return f"{town if rng.random() < 0.7 else town.upper().replace(',', '')} {zip_code}"


def draw_lines(rng: Rng, part: Part) -> list[str]:
    """Draw two or three lines without digits."""
    return [
        (draw_name, _town, _words)[int(rng.integers(3))](rng, part)
        for _ in range(int(rng.integers(2, 4)))
    ]


def draw_address(rng: Rng, part: Part) -> list[str]:
    """Draw name, street or box, and town, as on an envelope without a ZIP."""
    line = draw_text(rng, "street" if rng.random() < 0.75 else "box", part)
    lines = [draw_name(rng, part), line, _town(rng, part)]
    return [text.upper() for text in lines] if rng.random() < 0.3 else lines
