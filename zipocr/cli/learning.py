"""``zipocr train --corrections``: adapt a model to pages that a person has labelled."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from zipocr.cli.terminal import say, show
from zipocr.errors import InputError, ModelError

if TYPE_CHECKING:
    from pathlib import Path

    from zipocr.training.adapt.learn import Adaptation
    from zipocr.training.benchmark.measure import Crop
    from zipocr.training.benchmark.metrics import Change


def learn_from(
    corrections: Path,
    images: Path,
    base: str,
    out: Path,
    *,
    only_if_better: bool,
    jobs: int,
    seed: int,
) -> None:
    """Adapt the model, print the gain on held-out pages, and write it."""
    from zipocr.batch.backends import usable_cores
    from zipocr.cli.runs import progress
    from zipocr.models.model_file import load_model, model_digest, save_model
    from zipocr.training.adapt.learn import card_of, is_better, learn

    model, digest = load_model(base), model_digest(base)
    crops = _crops(corrections, images)
    found = learn(
        model,
        crops,
        jobs=jobs or usable_cores(),
        seed=seed,
        report=say,
        progress=partial(progress, quiet=False),
    )
    for line in lines_of(found):
        show(line)
    if only_if_better and not is_better(found.without):
        message = (
            f"{out} is not written, since there is no measurable gain. Correct more pages, or go "
            "without"
        )
        raise ModelError(f"{message} --only-if-better.")
    save_model(out, card_of(found, base=base, digest=digest))
    say(f"wrote {out}")


def _crops(corrections: Path, images: Path) -> list[Crop]:
    """Find the pages with a ZIP; finding none most likely means a wrong folder."""
    from zipocr.evaluation.labels import read_labels
    from zipocr.training.adapt.alignment import to_crops

    labels = read_labels(corrections)
    crops = to_crops(labels, images)
    say(f"{len(labels)} pages are labelled, {len(crops)} of them have a ZIP")
    if crops and not any(crop.path.is_file() for crop in crops):
        message = f"{images} has none of the corrected files, such as {crops[0].path}."
        raise InputError(f"{message} Give the PATH that was scanned.")
    return crops


def lines_of(found: Adaptation) -> Iterator[str]:
    """Describe what was gained, and what the confidence is based on."""
    yield (
        f"pages read exactly by models not adapted to them, of {found.pages}; difference at 95 %"
    )
    yield "                     before   after  difference"
    for name, one in (("with a directory", found.with_directory), ("without", found.without)):
        share = (
            f"{one.now - one.difference:9.4f}{one.now:8.4f}   {one.difference:+.4f} ± "
            f"{one.half_width:.4f}"
        )
        yield f"{name:18}{share}  {verdict(one)}"
    yield f"adapted to {found.taught} pages, at weight {found.weight:g}"
    yield from found.notes


def verdict(found: Change) -> str:
    """Describe in words whether a difference is statistically significant.

    Examples
    --------
    >>> from zipocr.training.benchmark.metrics import Change
    >>> [verdict(Change(now=0.9, difference=step, half_width=0.02)) for step in (0.03, 0.02, -0.03)]
    ['better', 'no measurable gain', 'worse']
    """
    if abs(found.difference) <= found.half_width:
        return "no measurable gain"
    return "better" if found.difference > 0 else "worse"
