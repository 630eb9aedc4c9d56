"""Random parameters of the appearance of a composed scan.

They describe the hand, the pen, the paper, printed marks and the scanner.

A kind (`KINDS`) forces the trait it is named after; everything else is drawn from the same broad
distribution, so that no trait is tied to one background. Lengths without a unit are in digit
heights.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

Rng: TypeAlias = np.random.Generator


@dataclass(frozen=True, slots=True, kw_only=True)
class Hand:
    """Geometry of the digits.

    ``height`` is in pixels, angles are in degrees, ``aspect`` is a factor on the glyph's width.

    ``level`` is 1 if all digits of a string are scaled to one height and 0 if they keep their
    original size. ``contacts`` is the number of gaps closed until ink touches, ``ligatures`` the
    number bridged by a stroke. ``pitch``, if not 0, puts digits into cells of one width;
    ``separator_after`` is the number of digits before the separator, 0 for any.
    """

    height: float
    aspect: float
    slant: float
    tilt: float
    level: float
    size_jitter: float
    base_jitter: float
    angle_jitter: float
    spacing: float
    spacing_jitter: float
    min_gap: float
    contacts: int = 0
    overlap: float = 0.06
    ligatures: int = 0
    pitch: float = 0.0
    pitch_jitter: float = 0.04
    separator: str = ""
    separator_after: int = 0
    tail: str = ""
    printed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pen:
    """The writing instrument.

    ``gray`` is 0 to 255; ``thin`` is 0 (original strokes) to 1 (a hairline along their ridge).

    ``edge`` is the width of a stroke's edge in pixels; ``weight`` is added to the threshold:
    negative is bolder. ``texture`` 0 to 1 is the share of ink that varies, ``streaks`` the number
    of ballpoint scratches, ``breaks`` the number of gaps erased from the strokes, ``splits`` the
    number of gaps long enough to split a digit, mostly horizontal like a scanner's dead line or a
    fold. ``wear`` names the degradation by a printer (see `zipocr.training.synthesis.print_wear`).
    """

    gray: float
    thin: float
    weight: float
    edge: float
    texture: float
    streaks: int = 0
    breaks: int = 0
    splits: int = 0
    break_width: float = 0.05
    dropout: float = 0.0
    wear: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """The ``gray`` level of the paper, the ``grain`` of its fibres, and its darkening.

    ``shade`` and ``shadow`` vary slowly, a ``pattern`` quickly. ``shadow_edge`` is the width in
    pixels of the shadow's edge, 0 for a random soft one; a ``vignette`` darkens towards the
    corners.
    """

    gray: float
    grain: float
    shade: float = 0.0
    shadow: float = 0.0
    shadow_edge: float = 0.0
    vignette: float = 0.0
    pattern: str = ""
    pattern_depth: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """Foreign ink.

    ``rule`` names printed lines (see `zipocr.training.synthesis.rules_and_clutter`), the rest are
    counts of specks, strokes and cut-off neighbours.
    """

    rule: str = ""
    rule_gray: float = 60.0
    rule_width: float = 1.5
    rule_touch: float = 0.3
    angle: float = 0.0
    specks: int = 0
    strokes: int = 0
    neighbours: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """Effects of scanner and file.

    Blur (pixels), noise (gray levels), salt (share of pixels), JPEG quality (0: none), levels,
    zoom.
    """

    blur: float = 0.0
    noise: float = 0.0
    salt: float = 0.0
    jpeg: int = 0
    bilevel: bool = False
    zoom: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """All parameters of one composed crop.

    ``margins`` are top, right, bottom, left.
    """

    hand: Hand
    pen: Pen
    paper: Paper
    marks: Marks
    scan: Scan
    margins: tuple[float, float, float, float]


def draw_scene(rng: Rng, kind: str) -> Scene:
    """Draw a scene of a kind; ``mixed`` combines two or three kinds."""
    scene = _base(rng)
    if kind != "mixed":
        return KINDS[kind](rng, scene)
    for name in rng.choice(_MIXABLE, size=int(rng.integers(2, 4)), replace=False):
        scene = KINDS[str(name)](rng, scene)
    return scene


def check_kinds(kinds: Iterable[str], known: Iterable[str]) -> None:
    """Raise a ValueError for unknown kinds of pages."""
    unknown = set(kinds) - set(known)
    if unknown:
        message = f"there are no pages of the kind {', '.join(sorted(unknown))}"
        raise ValueError(message)


def draw_kind(rng: Rng, quotas: Mapping[str, float]) -> str:
    """Draw a kind with a probability proportional to its quota."""
    weights = np.fromiter(quotas.values(), float)
    return list(quotas)[int(rng.choice(len(weights), p=weights / weights.sum()))]


def _base(rng: Rng) -> Scene:
    paper = float(np.clip(rng.normal(228, 18), 150, 255))
    hand = Hand(
        height=float(rng.uniform(34, 78)),
        aspect=float(np.exp(rng.normal(0, 0.12))),
        slant=float(rng.normal(0, 7)),
        tilt=float(rng.normal(0, 1.2)),
        level=float(rng.uniform(0, 1)),
        size_jitter=float(rng.uniform(0.02, 0.12)),
        base_jitter=float(rng.uniform(0.01, 0.1)),
        angle_jitter=float(rng.uniform(0.5, 4)),
        spacing=float(rng.uniform(0.05, 0.5)),
        spacing_jitter=float(rng.uniform(0.02, 0.15)),
        min_gap=float(rng.uniform(0.05, 0.12)),
    )
    pen = Pen(
        gray=float(min(rng.uniform(0, 130), paper - 70)),
        thin=float(rng.choice([0.0, rng.uniform(0, 1)], p=[0.45, 0.55])),
        weight=float(np.clip(rng.normal(0, 0.08), -0.15, 0.2)),
        edge=float(rng.uniform(0.8, 2.2)),
        texture=float(rng.uniform(0, 0.35)),
        streaks=int(rng.poisson(0.4)),
    )
    jpeg = int(rng.integers(50, 95)) if rng.random() < 0.3 else 0
    scan = Scan(blur=float(rng.uniform(0, 0.8)), noise=float(rng.uniform(0, 5)), jpeg=jpeg)
    sheet = Paper(gray=paper, grain=float(rng.uniform(0, 5)))
    return Scene(hand=hand, pen=pen, paper=sheet, marks=Marks(), scan=scan, margins=_margins(rng))


def _margins(rng: Rng) -> tuple[float, float, float, float]:
    wide = float(rng.choice([0.03, 0.25, 0.6], p=[0.15, 0.45, 0.4]))
    top, right, bottom, left = (
        float(side) for side in rng.uniform(-0.02, 1, 4) * wide * 1.6 + 0.01
    )
    return top, right, bottom, left


def _white(rng: Rng, scene: Scene) -> Scene:
    return replace(
        scene,
        paper=replace(
            scene.paper, gray=float(rng.uniform(235, 255)), grain=float(rng.uniform(0, 2))
        ),
    )


def _kraft(rng: Rng, scene: Scene) -> Scene:
    gray = float(rng.uniform(120, 185))
    paper = replace(
        scene.paper, gray=gray, grain=float(rng.uniform(3, 10)), shade=float(rng.uniform(0, 20))
    )
    return replace(scene, paper=paper, pen=_darker(rng, scene.pen, gray))


def _darker(rng: Rng, pen: Pen, gray: float) -> Pen:
    return replace(pen, gray=float(rng.uniform(0, max(20.0, gray - 65))))


def _shaded(rng: Rng, scene: Scene) -> Scene:
    paper = replace(scene.paper, shade=float(rng.uniform(40, 130)))
    return replace(scene, paper=paper, pen=replace(scene.pen, gray=float(rng.uniform(0, 75))))


def _shadow(rng: Rng, scene: Scene) -> Scene:
    paper = replace(scene.paper, shadow=float(rng.uniform(30, 110)))
    return replace(scene, paper=paper, pen=replace(scene.pen, gray=float(rng.uniform(0, 75))))


def _noisy(rng: Rng, scene: Scene) -> Scene:
    salt = float(rng.choice([0.0, rng.uniform(0.003, 0.05)]))
    return replace(
        scene, scan=replace(scene.scan, noise=float(rng.uniform(8, 34)), salt=salt, jpeg=0)
    )


def _ruled(rng: Rng, scene: Scene) -> Scene:
    return replace(scene, marks=_ruling(rng, scene.marks, "ruled", light=True))


def _ruling(rng: Rng, marks: Marks, rule: str, *, light: bool = False) -> Marks:
    gray = rng.uniform(90, 200) if light else rng.uniform(0, 140)
    angle, width = float(rng.normal(0, 0.8)), float(rng.uniform(0.8, 3.5))
    return replace(
        marks,
        rule=rule,
        rule_gray=float(gray),
        rule_width=width,
        rule_touch=float(rng.uniform(0, 1)),
        angle=angle,
    )


def _underlined(rng: Rng, scene: Scene) -> Scene:
    return replace(scene, marks=_ruling(rng, scene.marks, "underline"))


def _boxed(rng: Rng, scene: Scene) -> Scene:
    return replace(scene, marks=_ruling(rng, scene.marks, "box"))


def _celled(rng: Rng, scene: Scene) -> Scene:
    rule = str(rng.choice(["cells", "gapped", "comb"], p=[0.5, 0.25, 0.25]))
    hand = replace(
        scene.hand,
        pitch=float(rng.uniform(0.85, 1.35)),
        tilt=float(rng.normal(0, 0.6)),
        slant=float(rng.normal(0, 5)),
    )
    return replace(
        scene, hand=hand, marks=_ruling(rng, scene.marks, rule, light=bool(rng.integers(2)))
    )


def _table(rng: Rng, scene: Scene) -> Scene:
    return replace(scene, marks=_ruling(rng, scene.marks, "table"))


def _security(rng: Rng, scene: Scene) -> Scene:
    gray = float(rng.uniform(165, 235))
    pattern = str(rng.choice(["waves", "lines", "cross", "dots", "moire"]))
    paper = replace(
        scene.paper,
        gray=gray,
        pattern=pattern,
        pattern_depth=float(rng.uniform(12, 60)),
        shade=float(rng.uniform(0, 25)),
    )
    pen = replace(
        scene.pen, gray=float(rng.uniform(10, gray - 85)), thin=float(rng.uniform(0.2, 1))
    )
    return replace(
        scene, paper=paper, pen=pen, scan=replace(scene.scan, blur=float(rng.uniform(0.2, 1.3)))
    )


def _cheque(rng: Rng, scene: Scene) -> Scene:
    scene = _separated(rng, _security(rng, scene))
    hand = replace(scene.hand, slant=float(rng.normal(12, 9)), height=float(rng.uniform(30, 70)))
    if rng.random() < 0.4:
        scene = replace(scene, marks=_ruling(rng, scene.marks, "underline"))
    return replace(scene, hand=hand)


def _separated(rng: Rng, scene: Scene) -> Scene:
    separator = str(rng.choice(["", ".", ",", "-", "'"], p=[0.3, 0.35, 0.15, 0.15, 0.05]))
    tail = str(rng.choice(["", ".", ",", "-", "=", ",-"], p=[0.35, 0.15, 0.1, 0.25, 0.1, 0.05]))
    return replace(
        scene,
        hand=replace(scene.hand, separator=separator, tail=tail if separator else tail or "-"),
    )


def _clutter(rng: Rng, scene: Scene) -> Scene:
    marks = replace(
        scene.marks,
        specks=int(rng.integers(3, 60)),
        strokes=int(rng.integers(0, 6)),
        neighbours=int(rng.integers(0, 3)),
    )
    return replace(scene, marks=marks)


def _jpeg(rng: Rng, scene: Scene) -> Scene:
    return replace(scene, scan=replace(scene.scan, jpeg=int(rng.integers(6, 40))))


def _bilevel(rng: Rng, scene: Scene) -> Scene:
    pen = replace(scene.pen, gray=float(rng.uniform(0, scene.paper.gray - 100)))
    scan = replace(scene.scan, bilevel=True, blur=float(rng.uniform(0, 0.8)), jpeg=0)
    return replace(scene, scan=scan, pen=pen)


def _lowres(rng: Rng, scene: Scene) -> Scene:
    zoom = float(rng.choice([1.0, rng.uniform(1.5, 3)]))
    hand = replace(scene.hand, height=float(rng.uniform(17, 30)))
    return replace(
        scene,
        hand=hand,
        pen=replace(scene.pen, thin=scene.pen.thin * 0.5),
        scan=replace(scene.scan, zoom=zoom),
    )


def _skewed(rng: Rng, scene: Scene) -> Scene:
    angle = float(rng.choice([-1, 1]) * rng.uniform(2.5, 8))
    return replace(
        scene, hand=replace(scene.hand, tilt=angle), marks=replace(scene.marks, angle=angle)
    )


def _slanted(rng: Rng, scene: Scene) -> Scene:
    slant = float(rng.choice([-1, 1], p=[0.3, 0.7]) * rng.uniform(10, 30))
    return replace(scene, hand=replace(scene.hand, slant=slant))


def _touching(rng: Rng, scene: Scene) -> Scene:
    contacts = int(rng.choice([1, 2, 3, 4], p=[0.35, 0.3, 0.15, 0.2]))
    ligatures = int(rng.binomial(contacts, 0.15))
    overlap, spacing = float(rng.uniform(0.01, 0.12)), float(rng.uniform(-0.1, 0.15))
    return replace(
        scene,
        hand=replace(
            scene.hand, contacts=contacts, ligatures=ligatures, overlap=overlap, spacing=spacing
        ),
    )


def _close(rng: Rng, scene: Scene) -> Scene:
    spacing, min_gap = float(rng.uniform(-0.3, 0.02)), float(rng.uniform(0.02, 0.09))
    return replace(
        scene,
        hand=replace(scene.hand, spacing=spacing, min_gap=min_gap, slant=float(rng.normal(5, 12))),
    )


def _broken(rng: Rng, scene: Scene) -> Scene:
    dropout = float(rng.choice([0, rng.uniform(0.02, 0.12)], p=[0.6, 0.4]))
    breaks, width = int(rng.integers(3, 15)), float(rng.uniform(0.02, 0.09))
    return replace(scene, pen=replace(scene.pen, breaks=breaks, break_width=width, dropout=dropout))


def _split(rng: Rng, scene: Scene) -> Scene:
    pen = replace(
        scene.pen, splits=int(rng.integers(1, 6)), break_width=float(rng.uniform(0.03, 0.1))
    )
    return replace(scene, pen=pen)


def _faint(rng: Rng, scene: Scene) -> Scene:
    gray = float(rng.uniform(max(90.0, scene.paper.gray - 95), scene.paper.gray - 28))
    return replace(
        scene,
        pen=replace(scene.pen, gray=gray),
        scan=replace(scene.scan, noise=float(rng.uniform(0, 6))),
    )


def _blurred(rng: Rng, scene: Scene) -> Scene:
    return replace(
        scene, scan=replace(scene.scan, blur=scene.hand.height * float(rng.uniform(0.02, 0.05)))
    )


def with_dash(rng: Rng, scene: Scene) -> Scene:
    """Add the dash of a ZIP+4, which some writers omit."""
    separator = str(rng.choice(["-", ""], p=[0.85, 0.15]))
    return replace(scene, hand=replace(scene.hand, separator=separator, separator_after=5))


def _plus4(rng: Rng, scene: Scene) -> Scene:
    scene = with_dash(rng, scene)
    return replace(scene, hand=replace(scene.hand, height=float(rng.uniform(26, 64))))


def _printed(rng: Rng, scene: Scene) -> Scene:
    """Make type level, of one size and pitch.

    Mostly on the paper of another kind.
    """
    if rng.random() < 0.6:
        scene = KINDS[str(rng.choice(_PAPERS))](rng, scene)
    hand = replace(
        scene.hand, level=0.0, size_jitter=0.0, base_jitter=float(rng.uniform(0, 0.012)),
        angle_jitter=0.0, slant=0.0, pitch_jitter=0.003,
        aspect=float(np.exp(rng.normal(0, 0.08))), min_gap=0.01, printed=True,
    )  # fmt: skip
    pen = replace(
        scene.pen,
        thin=0.0,
        weight=float(rng.normal(0, 0.05)),
        streaks=0,
        texture=scene.pen.texture * 0.5,
    )
    return replace(scene, hand=hand, pen=pen)


def _far_cells(rng: Rng, scene: Scene) -> Scene:
    """Put small digits into large cells."""
    scene = _celled(rng, scene)
    hand = replace(
        scene.hand,
        pitch=float(rng.uniform(1.4, 2.6)),
        pitch_jitter=0.12,
        height=float(rng.uniform(16, 40)),
    )
    return replace(scene, hand=hand)


def _machine(rng: Rng, scene: Scene, wear: str = "") -> Scene:
    """Set type of any weight and width, degraded by a printer."""
    scene = _printed(rng, scene)
    height = float(rng.uniform(14, 60))
    hand = replace(scene.hand, aspect=float(np.exp(rng.normal(-0.05, 0.2))), height=height)
    weight = float(np.clip(rng.normal(0, 0.12), -0.25, 0.2))
    return replace(scene, hand=hand, pen=replace(scene.pen, weight=weight, wear=wear))


def _thermal(rng: Rng, scene: Scene) -> Scene:
    scene = _machine(rng, scene, "thermal")
    gray = scene.paper.gray - float(rng.uniform(45, 190))
    return replace(scene, pen=replace(scene.pen, gray=max(0.0, gray)))


def _tiny(rng: Rng, scene: Scene) -> Scene:
    """Set type of 6 to 11 pixels as in faxes and previews, sometimes enlarged."""
    scene = _machine(rng, scene)
    hand = replace(
        scene.hand, height=float(rng.uniform(6, 11)), aspect=float(rng.uniform(0.8, 1.2))
    )
    zoom = float(rng.choice([1.0, rng.uniform(1.5, 3)], p=[0.7, 0.3]))
    jpeg = int(rng.integers(25, 80)) if rng.random() < 0.4 else 0
    scan = replace(
        scene.scan,
        zoom=zoom,
        jpeg=jpeg,
        blur=float(rng.uniform(0, 0.6)),
        noise=float(rng.uniform(0, 8)),
    )
    pen = replace(
        scene.pen, edge=1.0, weight=0.0, gray=min(scene.pen.gray, 90.0), breaks=0, splits=0
    )
    return replace(
        scene,
        hand=hand,
        pen=pen,
        scan=scan,
        marks=replace(scene.marks, rule="", specks=0, strokes=0),
    )


def _hard_shadow(rng: Rng, scene: Scene) -> Scene:
    """Add the sharp edge of a shadow across the digits."""
    depth, edge = float(rng.uniform(40, 140)), float(rng.uniform(0.2, 2.5))
    paper = replace(scene.paper, shadow=depth, shadow_edge=edge)
    gray = float(rng.uniform(0, max(10.0, 0.7 * (scene.paper.gray - depth))))
    return replace(scene, paper=paper, pen=replace(scene.pen, gray=gray))


def _vignette(rng: Rng, scene: Scene) -> Scene:
    """Darken the corners like a lens or lamp."""
    paper = replace(scene.paper, vignette=float(rng.uniform(50, 160)))
    return replace(scene, paper=paper, pen=replace(scene.pen, gray=float(rng.uniform(0, 70))))


def _crowded(rng: Rng, scene: Scene) -> Scene:
    """Add parts of the lines above and below."""
    top, right, bottom, left = scene.margins
    margins = (min(top, 0.3), right, min(bottom, 0.3), left)
    marks = replace(scene.marks, neighbours=int(rng.integers(2, 6)))
    return replace(scene, marks=marks, margins=margins)


def _tailed(rng: Rng, scene: Scene) -> Scene:
    """Add a full stop, a comma or a dash after the last digit."""
    tail = str(rng.choice([".", ",", "-", ",-"], p=[0.35, 0.3, 0.3, 0.05]))
    return replace(scene, hand=replace(scene.hand, tail=tail))


def _small_hand(rng: Rng, scene: Scene) -> Scene:
    """Make writing a few pixels high, as on forms scanned at low resolution."""
    pen = replace(scene.pen, thin=scene.pen.thin * 0.5, edge=1.0, weight=min(0.0, scene.pen.weight))
    hand = replace(scene.hand, height=float(rng.uniform(9, 18)))
    return replace(scene, hand=hand, pen=replace(pen, gray=min(pen.gray, 100.0), streaks=0))


def _bold(rng: Rng, scene: Scene) -> Scene:
    """Set bold type that nearly fills its crop."""
    scene = _machine(rng, scene)
    hand = replace(scene.hand, height=float(rng.uniform(16, 60)))
    pen = replace(scene.pen, weight=float(rng.uniform(-0.4, -0.1)))
    top, right, bottom, left = (float(side) for side in rng.uniform(0.02, 0.4, 4))
    return replace(scene, hand=hand, pen=pen, margins=(top, right, bottom, left))


def _printed_shadow(rng: Rng, scene: Scene) -> Scene:
    light = _hard_shadow if rng.random() < 0.6 else _vignette
    return light(rng, _machine(rng, scene))


KINDS: Mapping[str, Callable[[Rng, Scene], Scene]] = {
    "plain": lambda _rng, scene: scene,
    "white": _white,
    "kraft": _kraft,
    "shaded": _shaded,
    "shadow": _shadow,
    "noisy": _noisy,
    "ruled": _ruled,
    "underlined": _underlined,
    "boxed": _boxed,
    "celled": _celled,
    "table": _table,
    "security": _security,
    "cheque": _cheque,
    "separated": _separated,
    "clutter": _clutter,
    "jpeg": _jpeg,
    "bilevel": _bilevel,
    "lowres": _lowres,
    "skewed": _skewed,
    "slanted": _slanted,
    "touching": _touching,
    "close": _close,
    "broken": _broken,
    "split": _split,
    "faint": _faint,
    "blurred": _blurred,
    "plus4": _plus4,
    "far_cells": _far_cells,
    "printed": _printed,
    "machine": _machine,
    "thermal": _thermal,
    "ink_jet": lambda rng, scene: _machine(rng, scene, "ink_jet"),
    "worn": lambda rng, scene: _machine(rng, scene, "worn"),
    "tiny": _tiny,
    "hard_shadow": _hard_shadow,
    "vignette": _vignette,
    "crowded": _crowded,
    "tailed": _tailed,
    "small_hand": _small_hand,
    "bold": _bold,
    "printed_shadow": _printed_shadow,
    "printed_tail": lambda rng, scene: _tailed(rng, _machine(rng, scene)),
}
PRINTED_KINDS = (
    "printed", "machine", "thermal", "ink_jet", "worn", "tiny", "bold", "printed_shadow",
    "printed_tail",
)  # fmt: skip
_UNMIXED = {
    *PRINTED_KINDS, "far_cells", "plain", "plus4", "lowres", "cheque", "faint", "hard_shadow",
    "vignette", "crowded", "tailed", "small_hand",
}  # fmt: skip
_MIXABLE = [name for name in KINDS if name not in _UNMIXED]
_PAPERS = (
    "white", "kraft", "shaded", "shadow", "noisy", "underlined", "boxed", "clutter", "jpeg",
    "bilevel", "lowres", "skewed", "broken",
    "faint", "blurred", "security",
)  # fmt: skip
