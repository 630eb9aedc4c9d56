"""Readings of rotated crops."""

from collections.abc import Sequence
from dataclasses import dataclass

from zipocr.images.decode import read_pages
from zipocr.mail_reader import MailReader
from zipocr.preprocess.rotate import rotate
from zipocr.reader import Reader
from zipocr.training.benchmark.figures import markdown
from zipocr.training.benchmark.measure import MAX_PIXELS, Crop, Judge
from zipocr.training.fit.region_samples import map_strings
from zipocr.types import Unread

TURNS = (0, 90, 180, 270)
"""Rotations of crops in degrees clockwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turned:
    """The result of reading a rotated crop.

    ``turned_back`` is the rotation by the reader in degrees clockwise.
    """

    turn: int
    turned_back: int
    is_right: bool
    accepted: bool

    @property
    def is_noticed(self) -> bool:
        """Whether the reader rotated it upright."""
        return (self.turn + self.turned_back) % 360 == 0


def read_turned(judge: Judge, crops: Sequence[Crop], *, jobs: int) -> list[Turned]:
    """Read all crops with a ZIP at all `TURNS`, turn by turn."""
    crops = [crop for crop in crops if crop.truth.zip]
    work = _ReadTurned(reader=judge.reader, least=judge.least, crops=crops)
    return map_strings(work, range(len(TURNS) * len(crops)), jobs=jobs)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _ReadTurned:
    """Task that reads a crop at one of the turns."""

    reader: MailReader | Reader
    least: float
    crops: Sequence[Crop]

    def __call__(self, number: int) -> Turned:
        place, of_crop = divmod(number, len(self.crops))
        crop = self.crops[of_crop]
        page = next(
            page
            for place, page in enumerate(read_pages(crop.path, max_pixels=MAX_PIXELS), start=1)
            if place == crop.page
        )
        reading = page if isinstance(page, Unread) else self.reader.read(rotate(page, TURNS[place]))
        turned_back = int(getattr(reading, "rotation", 0))
        if isinstance(reading, Unread):
            return Turned(
                turn=TURNS[place], turned_back=turned_back, is_right=False, accepted=False
            )
        return Turned(
            turn=TURNS[place],
            turned_back=turned_back,
            is_right=crop.truth.is_spelt_by(reading.zip + reading.plus4),
            accepted=round(reading.confidence, 4) >= self.least,
        )


def turned_table(found: Sequence[tuple[str, Sequence[Turned]]]) -> list[str]:
    """Tabulate named sets of crops by turn, in Markdown.

    An upright crop counts as noticed if it was not rotated.
    """
    heads = ("crops", "turned by", "n", "seen", "exact", "`read`", "wrong among these")
    rows = []
    for name, answers in found:
        for turn in TURNS:
            own = [one for one in answers if one.turn == turn]
            taken = [one for one in own if one.accepted]
            shares = (
                sum(one.is_noticed for one in own) / len(own),
                sum(one.is_right for one in own) / len(own),
                len(taken) / len(own),
                sum(not one.is_right for one in taken) / max(1, len(taken)),
            )
            rows.append(
                (f"`{name}`", f"{turn}°", str(len(own)), *(f"{share:.3f}" for share in shares))
            )
    return markdown(heads, rows)
