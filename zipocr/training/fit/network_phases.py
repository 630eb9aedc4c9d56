"""Training of a model's line networks in phases, or reuse of another model's."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

from numpy.typing import NDArray

from zipocr.errors import InputError
from zipocr.line.network import FIRST, SECOND, THIRD, array_shapes, arrays_of
from zipocr.reader import SECOND_PASS_SCALE, THIRD_PASS_SCALE
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

_TOLD = ("network", "second network", "third network")
# Seed of the composition of lines, the offset between the seeds of different kinds of lines, and
# the number of seeds.
LINE_SEED, PHASE_SEED, SEEDS = 4711, 100_000, 1 << 31
Report = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One phase of a network's training: number of lines, epochs and maximum learning rate.

    ``wide`` is the number of additional lines with more of mail, amounts and machine type,
    ``amounts`` the share of amounts, and ``scale`` the enlargement of digits relative to the first
    network's input. ``elastic`` is the share of lines that are bent elastically. No phase reuses
    lines of an earlier one.
    """

    lines: int = 0
    wide: int = 0
    epochs: int
    rate: float
    scale: float = 1.0
    amounts: float = AMOUNTS
    elastic: float = 0.0


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
# Trained further from the second on other lines, at its own scale and bent, so that it errs
# differently.
THIRD_PHASES = (
    Phase(
        lines=24_000, wide=64_000, epochs=4, rate=1.5e-3, scale=THIRD_PASS_SCALE,
        amounts=MORE_AMOUNTS, elastic=0.5,
    ),
)  # fmt: skip
PHASES_OF: Mapping[str, tuple[Phase, ...]] = {
    FIRST: PHASES,
    SECOND: SECOND_PHASES,
    THIRD: THIRD_PHASES,
}
# Few digits support only little training.
FEW_PHASES = (Phase(lines=12_000, epochs=8, rate=3e-3),)


def take_or_train(
    network: Model | None, train: Callable[..., dict[str, NDArray[Any]]], *, larger: bool
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Take over a model's networks or train them; return also a description of each."""
    if network:
        own, card = taken_networks(network), network.card["data"]
        about = {name: card[name] for name in _TOLD if name in card}
    else:
        own, about = train(), {"network": about_phases(PHASES)}
    if larger or not network:
        first = arrays_of(own, FIRST)
        second_arrays = train(start=first)
        own = {**first, **second_arrays, **train(start=second_arrays)}
        about["second network"] = about_phases(SECOND_PHASES)
        about["third network"] = about_phases(THIRD_PHASES)
    return own, about


def train_network(
    train: DigitSet,
    extra: DigitSet | None,
    recipe: Recipe,
    jobs: int,
    report: Report,
    *,
    start: Mapping[str, NDArray[Any]] = MappingProxyType({}),
    mail: DigitSet | None = None,
    checkpoints: Path | None = None,
) -> dict[str, NDArray[Any]]:
    """Train a line network on lines composed of training digits.

    Without ``extra`` digits, there are fewer lines, composed of these alone. Given the arrays of
    the first network to ``start`` from, it trains the second one, grown from these, and given those
    of the second one, the third. A folder of ``checkpoints`` keeps lines and training states, so
    that an interrupted training can resume.

    Raises
    ------
    InputError
        If PyTorch is not installed.
    """
    trainer = with_pytorch()
    network = _network_after(start)
    arrays: dict[str, NDArray[Any]] = {}
    if network == SECOND:
        arrays = trainer.grow(start, seed=recipe.seed)
    if network == THIRD:
        arrays = _renamed(start)
    phases = FEW_PHASES if extra is None else PHASES_OF[network]
    seed = LINE_SEED + 2 * PHASE_SEED * list(PHASES_OF).index(network) + recipe.seed
    source = LineComposer(digits=train, extra=extra, mail=mail, seed=seed)
    for number, phase in enumerate(phases):
        report(f"composing lines of phase {number + 1} of {len(phases)}")
        lines = _compose_lines(source, phases[: number + 1], jobs, checkpoints)
        report(f"training the {network.replace('_', ' ')}")
        name = f"network-{_digest(source, phases[: number + 1], start)}.pt"
        arrays = trainer.fit_network(
            lines,
            trainer.TrainingPlan(epochs=phase.epochs, rate=phase.rate, elastic=phase.elastic),
            seed=recipe.seed + number,
            jobs=jobs,
            report=report,
            start=arrays,
            network=network,
            checkpoint=checkpoints / name if checkpoints else None,
        )
    return arrays


def with_pytorch() -> ModuleType:
    """Return `zipocr.training.fit.network`, the only module that needs PyTorch.

    Raises
    ------
    InputError
        If PyTorch is not installed.
    """
    try:
        return import_module("zipocr.training.fit.network")
    except ModuleNotFoundError as error:
        message = (
            f"A network is trained with PyTorch ({error}): pip install 'zipocr[network]', or take"
            " over another model's with --network"
        )
        raise InputError(message) from None


def _compose_lines(
    source: LineComposer,
    phases: Sequence[Phase],
    jobs: int,
    checkpoints: Path | None,
) -> list[Line]:
    """Compose the lines of the last phase, the wide ones first, cached in a folder."""
    *earlier, phase = phases
    hands = replace(source, scale=phase.scale)
    seed = (source.seed - PHASE_SEED) % SEEDS
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
    start: Mapping[str, NDArray[Any]] = MappingProxyType({}),
) -> str:
    """Return a digest of all inputs of lines or of a network, for file names."""
    settings = (phases, composer.seed, composer.is_wide, composer.scale, composer.amounts)
    digest = sha256(repr(settings).encode())
    for digits in (composer.digits, composer.extra, composer.mail):
        if digits:
            digest.update(pixels_digest(digits.images).encode() + digits.labels.tobytes())
    for array in start.values():
        digest.update(array.tobytes())
    return digest.hexdigest()[:12]


def taken_networks(model: Model) -> dict[str, NDArray[Any]]:
    """Return the arrays of a model's network, and of its larger ones if it has them.

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
    larger = (arrays_of(model.arrays, name) for name in (SECOND, THIRD))
    return first | {name: array for arrays in larger for name, array in arrays.items()}


def _network_after(start: Mapping[str, NDArray[Any]]) -> str:
    """Return the name of the network that is trained from these arrays of the one before."""
    names = list(PHASES_OF)
    before = [place for place, name in enumerate(names) if arrays_of(start, name)]
    return names[before[-1] + 1] if before else FIRST


def _renamed(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return the arrays of the second network under the names of the third."""
    names = zip(array_shapes(SECOND), array_shapes(THIRD), strict=True)
    return {new: arrays[old] for old, new in names}


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
