"""The fingerprint of the settings that a model depends on.

Training and reading must share them. The keys are part of the model format and do not change when a
constant or module is renamed.
"""

from collections.abc import Mapping
from hashlib import sha256

from zipocr import attempt
from zipocr.classify import gradients as features
from zipocr.classify import normalize, svc
from zipocr.classify import probabilities as scores
from zipocr.line import line_image as strip
from zipocr.locate import (
    candidates,
    choice,
    choice_model,
    find,
    layout,
    line_frames,
    page_ink,
    text_lines,
    towns,
)
from zipocr.preprocess import binarize as threshold
from zipocr.preprocess import circles, gaps, rules, specks, text_height
from zipocr.preprocess import page as prepare
from zipocr.segment import regions, seams

SETTINGS: Mapping[str, object] = {
    "background.shrink": threshold.BACKGROUND_SHRINK,
    "binarize.min_contrast": threshold.MIN_CONTRAST,
    "binarize.min_gray": threshold.MIN_GRAY,
    "text_height.wanted": prepare.TEXT_HEIGHT,
    "text_height.range": (prepare.MIN_TEXT_HEIGHT, prepare.MAX_TEXT_HEIGHT),
    "text_height.min_halved": prepare.MIN_HALVED_HEIGHT,
    "text_height.ink_share": text_height.TWO_THIRDS,
    "text_height.line_share": text_height.LINE_SHARE,
    "text_height.enclosed": (
        text_height.ENCLOSED_HEIGHT,
        text_height.HOLLOW_SHARE,
        text_height.FALLBACK_HEIGHT,
    ),
    "page.smoothing": prepare.SMOOTHING,
    "page.max_enlargement": prepare.MAX_ENLARGEMENT,
    "specks.size": (specks.SPECK, text_height.MIN_HEIGHT, text_height.MIN_AREA),
    "specks.max_components": specks.MAX_COMPONENTS,
    "circles.size": (circles.MIN_WIDTH, circles.MIN_HEIGHT, circles.MAX_INK, circles.ENCLOSED),
    "circles.inside": (circles.MIN_INSIDE, circles.MIN_INSIDE_HEIGHT),
    "circles.line": (circles.MAX_GAP, circles.MAX_LINE),
    "rules.length": (rules.RULE_RUN, rules.RULE_LENGTH, rules.BAR_LENGTH, rules.BORDER_LENGTH),
    "rules.stroke": (rules.MAX_STROKE, rules.RULE_THICKNESS, rules.STRAIGHTNESS),
    "rules.bars": (rules.BAR_RUN, rules.BAR_THICKNESS, rules.MAX_CROSSED),
    "rules.fit": (rules.MIN_SUPPORT, rules.FITS, rules.TANGENT),
    "gaps.mended": gaps.MENDED_GAP,
    "line_image.height": (strip.LINE_HEIGHT, strip.DIGIT_HEIGHT),
    "line_image.margin": strip.MARGIN,
    "line_image.length": (strip.MIN_LENGTH, strip.MAX_LENGTH),
    "line_image.max_slope": strip.MAX_SLOPE,
    "line_image.smoothing": strip.SMOOTHING_SIGMA,
    "line_image.ink_darkness": strip.INK_DARKNESS,
    "regions.reach": (regions.REACH, regions.MAX_DISTANCE, regions.MIN_AREA),
    "regions.same_place": regions.SAME_PLACE,
    "seams.reach": seams.REACH,
    "seams.others": (regions.CUTS, seams.BESIDE, seams.SURCHARGE),
    "seams.cost": (seams.STEP_ASIDE, seams.DISTANCE, seams.MIN_PIECE),
    "bitmap.size": (normalize.BITMAP, normalize.BLOCK),
    "bitmap.box": (normalize.BOX_WIDTH, normalize.BOX_HEIGHT),
    "bitmap.limits": (normalize.MAX_WIDENING, normalize.MAX_SHEAR),
    "gradients.sampling": (
        features.DIRECTIONS,
        features.SAMPLED_ROWS,
        features.SAMPLED_COLUMNS,
    ),
    "gradients.sigma": (features.PLANE_SIGMA, features.IMAGE_SIGMA),
    "svc.classes": svc.CLASSES,
    "votes.steepness": scores.STEEPNESS,
}


SEARCH_SETTINGS: Mapping[str, object] = {
    "ink.size": (page_ink.MAX_SIDE, page_ink.SHRINK, page_ink.DISC),
    "ink.paper": (page_ink.MIN_PAPER, page_ink.PAPER_RANK),
    "ink.threshold": (
        page_ink.MIN_SHARE, page_ink.MIN_DEVIATIONS, page_ink.MIN_GRAY, page_ink.NEAR,
    ),
    "ink.rules": (
        page_ink.RULE_LENGTH, page_ink.RULE_HEIGHTS, page_ink.LETTER_RANK, page_ink.RULE_THICKNESS,
    ),
    "ink.components": (
        page_ink.MIN_SOLID, page_ink.MIN_SIDE, page_ink.MIN_AREA, page_ink.MAX_SHARE,
        page_ink.MAX_COMPONENTS,
    ),
    "ink.words": (
        page_ink.MAX_WORD, page_ink.WORD_HEIGHT, page_ink.MIN_ELONGATION, page_ink.MAX_ELONGATION,
        page_ink.MAX_ROW, text_lines.MIN_LETTER,
    ),
    "lines.links": (
        text_lines.MIN_LETTER, text_lines.SHARED_ROWS, text_lines.MAX_GAP, text_lines.MAX_RATIO,
    ),
    "lines.letters": (text_lines.HEIGHT_RANK, text_lines.MARK, text_lines.WORD_GAP),
    "lines.most": text_lines.MAX_LINES,
    "lines.pieces": (
        text_lines.MAX_PIECE, text_lines.MAX_OFFSET, text_lines.MAX_ASIDE, text_lines.MIN_PIECE,
    ),
    "words.image": (
        line_frames.MARGIN, line_frames.MIN_SHARE, line_frames.MAX_SHARE, line_frames.MAX_SLOPE,
        line_frames.MAX_LENGTH,
    ),
    "blocks.spacing": (layout.MAX_SPACING, layout.MAX_RATIO, layout.MIN_LETTERS),
    "candidates.length": (
        candidates.MIN_LENGTH, candidates.MAX_LENGTH, candidates.MAX_WORDS,
    ),
    "candidates.digits": (
        candidates.MIN_DIGITS, candidates.MAX_DIGITS, candidates.MAX_OTHERS,
        candidates.MIN_PROBABILITY, candidates.MAX_RANGES, candidates.MAX_SPANS,
    ),
    "candidates.margin": find.MARGIN,
    "choice.features": (tuple(choice_model.GROUPS.items()), choice_model.READING_FEATURES),
    "choice.limits": (
        choice.MIN_PROBABILITY, choice.FARTHEST, choice.NARROW, choice.WIDE, choice.ENVELOPE_WIDTH,
        choice.LONG_NUMBER,
    ),
    "towns.words": (
        towns.MAX_SHIFT, towns.MAX_RATIO, towns.MAX_GAP, towns.MAX_LENGTH, towns.MIN_BEFORE,
        towns.MIN_PITCH, towns.MAX_PITCH,
    ),
    "towns.limits": (
        towns.MIN_LOG_PROBABILITY, towns.NATS_PER_LETTER, towns.MAX_LETTERS, towns.MAX_LOSS,
        towns.MIN_GAIN, towns.MAX_GAIN,
    ),
    "towns.strings": (
        attempt.MIN_ALTERNATIVE, attempt.MAX_ALTERNATIVES, attempt.MAX_FROM_TOWN,
        towns.MIN_TOWN_GAIN,
    ),
}  # fmt: skip
"""Settings that the search of whole pages depends on, besides `SETTINGS`."""


def settings_hash() -> str:
    """Return a hash of all settings, 16 hexadecimal digits."""
    return _hash(SETTINGS)


def search_hash() -> str:
    """Return a hash of the settings of the search, 16 hexadecimal digits."""
    return _hash(SEARCH_SETTINGS)


def _hash(settings: Mapping[str, object]) -> str:
    return sha256(repr(sorted(settings.items())).encode()).hexdigest()[:16]
