"""Training of a model's line networks in phases, or reuse of another model's."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any

from numpy.typing import NDArray

from zipocr.errors import InputError
from zipocr.line.network import FIRST, SECOND, array_shapes, arrays_of
from zipocr.reader import SECOND_PASS_SCALE
from zipocr.training.data.datasets import DigitSet, pixels_digest
from zipocr.training.fit.line_samples import (
    AMOUNTS,
    MORE_AMOUNTS,
    Line,
    LineComposer,
    gather_lines,
)
from zipocr.training.fit.svm import Recipe
from zipocr.types import Model

# Seed of the composition of lines, and the offset between the seeds of different kinds of lines.
LINE_SEED, PHASE_SEED = 4711, 100_000
Report = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One phase of a network's training: number of lines, epochs and maximum learning rate.

    ``wide`` is the number of additional lines with more of mail, amounts and machine type,
    ``amounts`` the share of amounts, and ``scale`` the enlargement of digits relative to the first
    network's input. No phase reuses lines of an earlier one.
    """

    lines: int = 0
    wide: int = 0
    epochs: int
    rate: float
    scale: float = 1.0
    amounts: float = AMOUNTS


# Fewer lines and more epochs make the network overconfident on cheques and upside-down pages.
PHASES = (Phase(lines=288_000, epochs=6, rate=3e-3),)
# Trained on wide lines alone, the network would read print better but handwriting worse.
SECOND_PHASES = (
    Phase(lines=96_000, wide=96_000, epochs=6, rate=2e-3, scale=SECOND_PASS_SCALE),
    Phase(
        lines=48_000, wide=96_000, epochs=5, rate=1e-3, scale=SECOND_PASS_SCALE,
        amounts=MORE_AMOUNTS,
    ),
)  # fmt: skip
# Few digits support only little training.
FEW_PHASES = (Phase(lines=12_000, epochs=8, rate=3e-3),)


def take_or_train(
    network: Model | None, train: Callable[..., dict[str, NDArray[Any]]], *, second: bool
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Take over a model's networks or train them; return also a description of each."""
    if network:
        own, card = taken_networks(network), network.card["data"]
        about = {name: card[name] for name in ("network", "second network") if name in card}
    else:
        own, about = train(), {"network": about_phases(PHASES)}
    if second or not network:
        first = arrays_of(own, FIRST)
        own = {**first, **train(first=first)}
        about["second network"] = about_phases(SECOND_PHASES)
    return own, about


def train_network(
    train: DigitSet,
    extra: DigitSet | None,
    recipe: Recipe,
    jobs: int,
    report: Report,
    *,
    first: Mapping[str, NDArray[Any]] = MappingProxyType({}),
    mail: DigitSet | None = None,
    checkpoints: Path | None = None,
) -> dict[str, NDArray[Any]]:
    """Train a line network on lines composed of training digits.

    Without ``extra`` digits, there are fewer lines, composed of these alone. Given the arrays of a
    ``first`` network, it trains a second one, wider and deeper. A folder of ``checkpoints`` keeps
    lines and training states, so that an interrupted training can resume.

    Raises
    ------
    InputError
        If PyTorch is not installed.
    """
    try:
        from zipocr.training.fit.network import TrainingPlan, fit_network, grow
    except ModuleNotFoundError as error:
        message = (
            f"A network is trained with PyTorch ({error}): pip install 'zipocr[network]', or take"
            " over another model's with --network"
        )
        raise InputError(message) from None
    arrays = grow(first, seed=recipe.seed) if first else {}
    phases = SECOND_PHASES if first else FEW_PHASES if extra is None else PHASES
    seed = LINE_SEED + 2 * PHASE_SEED * bool(first) + recipe.seed
    source = LineComposer(digits=train, extra=extra, mail=mail, seed=seed)
    for number, phase in enumerate(phases):
        report(f"composing lines of phase {number + 1} of {len(phases)}")
        lines = _compose_lines(source, phases[: number + 1], recipe, jobs, checkpoints)
        report("training the second network" if first else "training the network")
        name = f"network-{_digest(source, phases[: number + 1], first)}.pt"
        arrays = fit_network(
            lines,
            TrainingPlan(epochs=phase.epochs, rate=phase.rate),
            seed=recipe.seed + number,
            jobs=jobs,
            report=report,
            start=arrays,
            network=SECOND if first else FIRST,
            checkpoint=checkpoints / name if checkpoints else None,
        )
    return arrays


def _compose_lines(
    source: LineComposer,
    phases: Sequence[Phase],
    recipe: Recipe,
    jobs: int,
    checkpoints: Path | None,
) -> list[Line]:
    """Compose the lines of the last phase, the wide ones first, cached in a folder."""
    *earlier, phase = phases
    hands = replace(source, scale=phase.scale)
    seed = LINE_SEED + PHASE_SEED + recipe.seed
    wide = replace(hands, is_wide=True, seed=seed, amounts=phase.amounts)
    lines: list[Line] = []
    for composer, kind in ((wide, "wide"), (hands, "lines")):
        first = sum(getattr(one, kind) for one in earlier)
        numbers = range(first, first + getattr(phase, kind))
        folder = checkpoints / f"lines-{_digest(composer)}" if checkpoints and numbers else None
        lines += gather_lines(composer, numbers, jobs=jobs, folder=folder)
    return lines


def _digest(
    composer: LineComposer,
    phases: Sequence[Phase] = (),
    first: Mapping[str, NDArray[Any]] = MappingProxyType({}),
) -> str:
    """Return a digest of all inputs of lines or of a network, for file names."""
    settings = (phases, composer.seed, composer.is_wide, composer.scale, composer.amounts)
    digest = sha256(repr(settings).encode())
    for digits in (composer.digits, composer.extra, composer.mail):
        if digits:
            digest.update(pixels_digest(digits.images).encode() + digits.labels.tobytes())
    for array in first.values():
        digest.update(array.tobytes())
    return digest.hexdigest()[:12]


def taken_networks(model: Model) -> dict[str, NDArray[Any]]:
    """Return the arrays of a model's network, and of its second one if it has one.

    Raises
    ------
    InputError
        If it has none.
    """
    first = arrays_of(model.arrays, FIRST)
    if len(first) < len(array_shapes(FIRST)):
        raise InputError(
            "The model whose network is to be taken over has none: name one of NIST digits, such as"
            " mail"
        )
    return {**first, **arrays_of(model.arrays, SECOND)}


def about_phases(phases: Sequence[Phase]) -> str:
    """Describe what a network was trained on."""
    rounds = ", then ".join(
        f"{phase.epochs} rounds on {phase.lines + phase.wide} lines" for phase in phases
    )
    more = ", of US mail, of amounts and of machines' type" if phases[-1].wide else ""
    return (
        f"a network trained for {rounds} composed of the same digits and typefaces, of digits drawn"
        f" in shapes of other countries, and of words and scribbles{more}"
    )
