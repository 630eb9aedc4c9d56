"""Text of addresses and their surroundings, with the position of the destination ZIP."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from zlib import crc32

from zipocr.decode.directory import places
from zipocr.training.synthesis.compose import any_digits, draw_zip, listed_zips
from zipocr.training.synthesis.scene_parameters import Rng
from zipocr.training.synthesis.wording import (
    Part,
    draw_name,
    draw_text,
    fixed_words,
    number_text,
    one_of,
    town_words,
)
from zipocr.types import PLUS4_LENGTH

_STATES = {
    "CA": "California", "TX": "Texas", "FL": "Florida", "NY": "New York", "OH": "Ohio",
    "IL": "Illinois", "GA": "Georgia", "MI": "Mich.", "PA": "Penna.", "MA": "Mass.",
    "MN": "Minn.", "WI": "Wisc.", "CO": "Colorado", "NC": "N. Carolina", "IN": "Indiana",
    "VA": "Virginia", "WA": "Wash.", "MO": "Missouri", "IA": "Iowa", "KS": "Kansas",
}  # fmt: skip
_FRENCH_TOWNS: Mapping[Part, tuple[str, ...]] = {
    "train": (
        "75 Paris", "69 Lyon", "44 Nantes", "35 Rennes", "59 Lille Cedex", "38 Grenoble",
        "21 Dijon", "49 Angers", "29 Brest", "37 Tours", "87 Limoges", "57 Metz", "14 Caen",
        "45 Orleans", "01 Bourg en Bresse", "92 Issy les Moulineaux", "94 Creteil",
    ),
    "test": (
        "13 Marseille", "31 Toulouse", "06 Nice", "33 Bordeaux", "51 Reims", "76 Le Havre",
        "83 Toulon", "30 Nimes", "76 Rouen", "68 Mulhouse", "54 Nancy", "84 Avignon",
        "86 Poitiers Cedex", "64 Pau", "62 Calais", "78 Versailles", "93 Saint Denis",
    ),
}  # fmt: skip
"""Towns and the first two digits of their postcodes."""
_FRENCH_WAYS: Mapping[Part, tuple[str, ...]] = {
    "train": ("rue de", "avenue de", "place", "impasse"),
    "test": ("boulevard de", "chemin", "quai de", "allee"),
}
_WAYS: Mapping[Part, tuple[str, ...]] = {
    "train": ("St", "Ave", "Rd", "Blvd", "Drive", "Lane", "Terrace", "AVE NW", "Dr."),
    "test": ("Street", "Court", "Hwy", "Way", "Pkwy", "Place", "Circle", "ST SW", "Trail"),
}
_FIRMS: Mapping[Part, tuple[str, ...]] = {
    "train": ("Inc.", "& Sons", "Supply Co", "Dental Group", "Savings Bank", "Hardware"),
    "test": ("LLC", "Partners", "Clinic", "Insurance", "Furniture Mart", "School District"),
}
_DESKS: Mapping[Part, tuple[str, ...]] = {
    "train": ("Attn: {name}", "Accounts Payable", "c/o {name}", "Dept. {number}"),
    "test": ("ATTENTION {name}", "Billing Office", "% {name}", "Mail Stop {number}"),
}
_UNITS: Mapping[Part, tuple[str, ...]] = {
    "train": ("Apt {n}", "Suite {n}", "# {n}"),
    "test": ("Unit {n}", "Ste {n}", "Floor {n}"),
}
_BOXES: Mapping[Part, tuple[str, ...]] = {
    "train": ("PO Box {n}", "P.O. Box {n}", "Box {n}"),
    "test": ("POB {n}", "Drawer {n}", "RR 2 Box {n}"),
}
_AFTER: Mapping[Part, tuple[str, ...]] = {
    "train": ("USA", "U.S.A.", "Tel {phone}", "Attn: {name}", "Ref: {number}", "#{number}"),
    "test": (
        "UNITED STATES",
        "U S A",
        "Ph. {phone}",
        "Re: {name}",
        "File {number}",
        "No. {number}",
    ),
}
_PRESORT: Mapping[Part, tuple[str, ...]] = {
    "train": ("*****AUTO**3-DIGIT {three}", "{five} T{two} P1", "#{number}", "{number}"),
    "test": ("*****SCH 3-DIGIT {three}", "{five} 1 MB 0.{three}", "Acct {number}", "T{two} {five}"),
}
_COUNTRIES: Mapping[Part, tuple[str, ...]] = {
    "train": ("GREAT BRITAIN", "Suisse", "INDIA", "CANADA"),
    "test": ("ENGLAND", "Danmark", "CHINA", "Nederland"),
}
_CASES: Mapping[str, Callable[[str], str]] = {
    "as is": lambda text: text,
    "upper": str.upper,
    "lower": str.lower,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of text; ``zip_at`` is the range of the destination ZIP in it.

    Its bounds are equal if the line has none. ``is_plus4`` marks the ZIP+4 add-on if it has its own
    line.
    """

    text: str
    zip_at: tuple[int, int] = (0, 0)
    is_plus4: bool = False

    def without_zip(self) -> "Line":
        """Return the line without its ZIP."""
        start, end = self.zip_at
        if start == end:
            return self
        left, right = self.text[:start].rstrip(" -("), self.text[end:].lstrip(" -)")
        return Line(text=f"{left} {right}".strip())


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Lines of a destination; ``zip`` and ``plus4`` are empty if it has no ZIP.

    ``is_redacted``: whether its ZIP is blacked out, so that it has none.
    """

    lines: tuple[Line, ...]
    zip: str
    plus4: str
    is_redacted: bool = False

    def without_zip(self) -> "Address":
        """Return the address as written without knowing the ZIP."""
        kept = [line.without_zip() for line in self.lines if not line.is_plus4]
        return Address(lines=tuple(line for line in kept if line.text), zip="", plus4="")

    def redacted(self) -> "Address":
        """Return the address with its ZIP blacked out."""
        kept = tuple(line for line in self.lines if not line.is_plus4)
        return Address(lines=kept, zip="", plus4="", is_redacted=True)

    def last_line(self) -> "Address":
        """Return only the lines with the ZIP."""
        kept = [line for line in self.lines if line.zip_at[0] < line.zip_at[1] or line.is_plus4]
        return replace(self, lines=tuple(kept))


def draw_destination(rng: Rng, part: Part, *, after: float = 0.2) -> Address:
    """Draw an address with its ZIP; ``after`` is the share with a line after the ZIP."""
    if rng.random() < 0.06:
        first, _, town = one_of(rng, _FRENCH_TOWNS[part]).partition(" ")
        zip_code, plus4 = f"{first}{rng.integers(0, 10)}{one_of(rng, ('00', '10', '50', '07'))}", ""
        last = [_leading(rng, zip_code, town)]
        lines = [draw_name(rng, part), _french_street(rng, part)]
    else:
        zip_code = _draw_known_zip(rng, part)
        plus4 = any_digits(rng, PLUS4_LENGTH) if rng.random() < 0.25 else ""
        last = _last_lines(rng, part, zip_code, plus4)
        lines = _upper_lines(rng, part)
    behind = [Line(text=_filled(rng, part, one_of(rng, _AFTER[part])))]
    all_lines = [Line(text=text) for text in lines] + last + behind * (rng.random() < after)
    case = _CASES[str(rng.choice(list(_CASES), p=[0.56, 0.4, 0.04]))]
    cased = tuple(replace(line, text=case(line.text)) for line in all_lines)
    return Address(lines=cased, zip=zip_code, plus4=plus4)


def withhold_zip(rng: Rng, part: Part, address: Address) -> Address:
    """Remove the ZIP of an address: omitted, blacked out, truncated, or a foreign postcode."""
    dice = rng.random()
    if dice < 0.6:
        return address.without_zip()
    if dice < 0.75:
        return address.redacted()
    if dice < 0.85:
        code = any_digits(rng, int(rng.choice([3, 4])))
        kept = address.without_zip().lines
        last = [replace(kept[-1], text=f"{kept[-1].text} {code}")]
    else:
        kept = (*address.without_zip().lines[:2], Line(text=""))
        country = one_of(rng, _COUNTRIES[part])
        last = list(plain([draw_text(rng, "postcode", part), country]))
    return Address(lines=(*kept[:-1], *last), zip="", plus4="")


def draw_sender(rng: Rng, part: Part) -> list[str]:
    """Draw a return address; most have a ZIP, different from the destination's."""
    zip_code = _draw_known_zip(rng, part)
    plus4 = any_digits(rng, PLUS4_LENGTH) if rng.random() < 0.25 else ""
    last = [line.text for line in _last_lines(rng, part, zip_code, plus4)]
    if rng.random() < 0.12:
        last = [re.sub(r"[ -]*\d[\d -]*$", "", line) for line in last]
    before = ["From:"] if rng.random() < 0.1 else []
    lines = before + _upper_lines(rng, part)[: int(rng.integers(1, 4))] + last
    return [line.upper() for line in lines if line] if rng.random() < 0.3 else lines


def draw_presort(rng: Rng, part: Part) -> str:
    """Draw a line of mailer codes, as printed above an address."""
    return _filled(rng, part, one_of(rng, _PRESORT[part]))


def draw_street(rng: Rng, part: Part) -> str:
    """Draw a street with a house number of one to five digits, or a PO box."""
    if rng.random() < 0.22:
        return one_of(rng, _BOXES[part]).format(n=number_text(rng, 2, 3, 4, 5, 5, 6))
    number = number_text(rng, 1, 2, 3, 3, 4, 4, 4, 5, 5)
    side = f"{rng.choice(list('NSEW'))} " if rng.random() < 0.2 else ""
    name = one_of(rng, town_words(part))
    if rng.random() < 0.15:
        name = f"{rng.integers(1, 160)}th"
    street = f"{number} {side}{name} {one_of(rng, _WAYS[part])}"
    return f"{street} {_unit(rng, part)}" if rng.random() < 0.18 else street


def _unit(rng: Rng, part: Part) -> str:
    return one_of(rng, _UNITS[part]).format(n=number_text(rng, 1, 2, 3, 3, 4))


def _upper_lines(rng: Rng, part: Part) -> list[str]:
    """Draw the lines above the town: name, optionally firm and department, street."""
    lines = [draw_name(rng, part)]
    if rng.random() < 0.25:
        lines.append(f"{one_of(rng, town_words(part))} {one_of(rng, _FIRMS[part])}")
    if rng.random() < 0.15:
        lines.append(_filled(rng, part, one_of(rng, _DESKS[part])))
    lines.append(draw_street(rng, part))
    if rng.random() < 0.12:
        lines.append(_unit(rng, part))
    return lines[1:] if len(lines) > 2 and rng.random() < 0.1 else lines


def _filled(rng: Rng, part: Part, form: str) -> str:
    """Fill names and numbers into a template."""
    return form.format(
        name=draw_name(rng, part),
        phone=draw_text(rng, "phone", part),
        number=number_text(rng, 4, 5, 5, 6, 7, 8),
        five=number_text(rng, 5),
        three=any_digits(rng, 3),
        two=any_digits(rng, 2),
    )


def _french_street(rng: Rng, part: Part) -> str:
    way, name = one_of(rng, _FRENCH_WAYS[part]), one_of(rng, town_words(part))
    return f"{number_text(rng, 1, 2, 3)} {way} {name}"


@lru_cache(maxsize=2)
def _part_zips(part: Part) -> tuple[str, ...]:
    """Return the ZIPs in the towns of a part, sorted; two thirds of all towns are for training."""
    known = places()
    return tuple(
        one
        for one in listed_zips()
        if (crc32(known[one].city.lower().encode()) % 3 < 2) == (part == "train")
    )


def _draw_known_zip(rng: Rng, part: Part) -> str:
    return draw_zip(rng, _part_zips(part), unlisted=0.06)


def _town(rng: Rng, part: Part, zip_code: str) -> tuple[str, str]:
    """Return city and state of a ZIP, or others if it has none or by mistake."""
    known = places()
    if zip_code not in known or rng.random() < 0.04:
        return one_of(rng, town_words(part)), one_of(rng, fixed_words(part, "state"))
    return known[zip_code].city, known[zip_code].state


def _last_lines(rng: Rng, part: Part, zip_code: str, plus4: str) -> list[Line]:
    """Draw the last line or lines: town, ZIP and add-on in one of many orders."""
    city, state = _town(rng, part, zip_code)
    state = _STATES.get(state, state) if rng.random() < 0.12 else state
    dash = str(rng.choice(["-", "-", "-", "-", " - ", " "]))
    whole = zip_code + dash + plus4 if plus4 else zip_code
    gap = " " * int(rng.choice([1, 1, 1, 2, 2, 3, 4, 6]))
    dice = rng.random()
    if dice < 0.05:
        return [_leading(rng, whole, f"{city}, {state}")]
    if dice < 0.12:
        return [Line(text=f"{city}, {state}"), _line("", whole)]
    if dice < 0.15:
        return [Line(text=city), _line(f"{state}{gap}", whole)]
    if plus4 and dice < 0.21:
        mark = "-" if rng.random() < 0.6 else ""
        town = _line(f"{city}, {state}{gap}", zip_code)
        return [town, Line(text=mark + plus4, is_plus4=True)]
    forms = (", {state}{gap}", ", {state}{gap}", " {state}{gap}", " {state}{gap}", " {state}, ",
             ", {state}. ", "{gap}", ", {state} - ")  # fmt: skip
    ending = one_of(rng, forms).format(state=state, gap=gap).replace("..", ".")
    return [_line(city + ending, whole)]


def _line(before: str, zip_code: str) -> Line:
    return Line(text=before + zip_code, zip_at=(len(before), len(before) + len(zip_code)))


def _leading(rng: Rng, zip_code: str, town: str) -> Line:
    """Draw a ZIP before its town."""
    gap = str(rng.choice([" ", " ", "  ", ", "]))
    return Line(text=zip_code + gap + town, zip_at=(0, len(zip_code)))


def plain(lines: Sequence[str]) -> tuple[Line, ...]:
    """Return lines without a destination ZIP."""
    return tuple(Line(text=text) for text in lines)
