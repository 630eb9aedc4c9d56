"""Ablation: a reader without one of its parts, to measure the contribution of that part."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from zipocr.attempt import Attempt, Fused
from zipocr.line.recognize import LineReading
from zipocr.preprocess.gaps import bridge_gaps
from zipocr.preprocess.page import PreparedPage, prepare, to_ink_page
from zipocr.preprocess.rules import remove_rules
from zipocr.preprocess.specks import remove_specks
from zipocr.preprocess.text_height import estimate_text_height
from zipocr.reader import Reader
from zipocr.training.benchmark.measure import Crop, Judge, default_threshold, read_crops
from zipocr.training.benchmark.metrics import Pair
from zipocr.types import GrayImage, Model

PARTS = (
    "network's say",
    "support vectors' say",
    "second pass",
    "removal of rules",
    "bridging of gaps",
    "other versions",
    "other orientations",
)
"""The parts that can be left out, one at a time."""


class AblatedReader(Reader):
    """A reader without one of `PARTS`.

    Parameters
    ----------
    model : Model
    without : str
        The part to leave out.
    use_directory : bool
        Whether to use the packaged directory.
    """

    def __init__(self, model: Model, *, without: str, use_directory: bool = True) -> None:
        super().__init__(model, use_directory=use_directory)
        self._without = without
        if without == "network's say":
            self._fusion = replace(self._fusion, line=0.0)
        if without == "support vectors' say":
            self._fusion = replace(self._fusion, digits=0.0, weakest=0.0)

    def attempt_each(self, pages: Sequence[GrayImage]) -> list[Attempt]:
        """Read pages without removing rules or bridging gaps, if that is left out."""
        return self.read_prepared([self._clean(prepare(page)) for page in pages])

    def needs_second_pass(
        self, line: LineReading, fused: Fused | None, *, is_retry: bool = False
    ) -> bool:
        """Return whether the network should read a line twice."""
        if self._without == "second pass":
            return False
        return super().needs_second_pass(line, fused, is_retry=is_retry)

    def versions(self, upright: Attempt) -> Iterator[GrayImage]:
        """Yield other versions of a page in doubt, unless they are left out."""
        if self._without != "other versions":
            yield from super().versions(upright)

    def may_be_upside_down(self, upright: Attempt) -> bool:
        """Return whether a page should be read upside down, too."""
        return self._without != "other orientations" and super().may_be_upside_down(upright)

    def quarter_turns(self, upright: Attempt) -> Iterator[Attempt]:
        """Read a page in both quarter turns."""
        if self._without != "other orientations":
            yield from super().quarter_turns(upright)

    def _clean(self, page: PreparedPage) -> PreparedPage:
        """Clean the ink of a page again without one of the steps."""
        if self._without not in {"removal of rules", "bridging of gaps"} or page.ink is None:
            return page
        scaled = page.ink.scaled
        components, height = scaled.components, scaled.text_height
        if self._without == "bridging of gaps":
            bare = remove_rules(components, height)
            height = height if bare is components else estimate_text_height(bare) or height
            components = remove_specks(bare, height)
        else:
            components = bridge_gaps(remove_specks(components, height), height)
        return replace(page, ink=to_ink_page(scaled, components, height))


def ablate(model: Model, crops: Sequence[Crop], *, jobs: int) -> dict[str, Pair]:
    """Read crops without each part in turn, with and without the directory."""
    return {part: read_crops(_judges(model, part), crops, jobs=jobs) for part in PARTS}


def _judges(model: Model, without: str) -> tuple[Judge, Judge]:
    listed, unlisted = (
        Judge(
            reader=AblatedReader(model, without=without, use_directory=used),
            least=default_threshold(model, use_directory=used),
        )
        for used in (True, False)
    )
    return listed, unlisted
