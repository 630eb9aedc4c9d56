"""Training of a model's line networks in phases, or reuse of another model's."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

import numpy as np
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
from zipocr.training.fit.quantization import quantize
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
    network's input. ``elastic`` is the share of lines that are bent elastically, and
    ``has_typefaces`` adds digits of handwriting typefaces, and addresses. No phase reuses lines of
    an earlier one.
    """

    lines: int = 0
    wide: int = 0
    epochs: int
    rate: float
    scale: float = 1.0
    amounts: float = AMOUNTS
    elastic: float = 0.0
    has_typefaces: bool = False


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
# The last phase of the first network, which finds the numbers on pages, teaches it that handwritten
# words are not digits.
LAST_PHASE = Phase(
    lines=24_000, wide=64_000, epochs=4, rate=1e-3, amounts=MORE_AMOUNTS, elastic=0.5,
    has_typefaces=True,
)  # fmt: skip
# Share of the new weights after the last phase; averaged with the former ones, they read both the
# former lines and the new ones better (Wortsman et al., 2022).
NEW_WEIGHTS = 0.6
# Maximum number of lines of each kind on which the activations of a network are measured.
MEASURED = 250
# Few digits support only little training.
FEW_PHASES = (Phase(lines=12_000, epochs=8, rate=3e-3),)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NetworkTrainer:
    """Trainer of line networks on lines composed of digits.

    Without ``extra`` digits, there are fewer lines, composed of ``digits`` alone; ``mail`` are
    digits of US mail. A folder of ``checkpoints`` keeps lines and training states, so that an
    interrupted training can resume.
    """

    digits: DigitSet
    extra: DigitSet | None
    recipe: Recipe
    jobs: int
    report: Report
    mail: DigitSet | None = None
    checkpoints: Path | None = None

    def take_or_train(
        self, model: Model | None, *, larger: bool
    ) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Take over a model's networks, or train all, or only the ``larger`` ones.

        Returns also a description of each.
        """
        if model:
            taken, card = taken_networks(model), model.card["data"]
            about = {name: card[name] for name in _TOLD if name in card}
            if not larger:
                return taken, about
            first = finished = arrays_of(taken, FIRST)
        else:
            first = self.train()
            finished = self.quantized(self.finish(first), FIRST)
            about = {"network": about_phases((*PHASES, LAST_PHASE))}
        about["second network"] = about_phases(SECOND_PHASES)
        about["third network"] = about_phases(THIRD_PHASES)
        second = self.train(first)
        third = self.train(second)
        larger_ones = self.quantized(second, SECOND) | self.quantized(third, THIRD)
        return finished | larger_ones, about

    def train(
        self, start: Mapping[str, NDArray[Any]] = MappingProxyType({})
    ) -> dict[str, NDArray[Any]]:
        """Train a network without its last phase.

        Given the arrays of the first network to ``start`` from, it trains the second one, grown
        from these, and given those of the second one, the third.

        Raises
        ------
        InputError
            If PyTorch is not installed.
        """
        trainer = with_pytorch()
        network = _network_after(start)
        arrays: dict[str, NDArray[Any]] = {}
        if network == SECOND:
            arrays = trainer.grow(start, seed=self.recipe.seed)
        if network == THIRD:
            arrays = _renamed(start)
        source, phases = self._lines_and_phases(network)
        for number in range(len(phases)):
            arrays = self._fit(source, phases[: number + 1], arrays, start, network)
        return arrays

    def finish(self, first: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Train the first network in its last phase, and average its weights with the former ones.

        The larger networks are trained from the former weights.

        Raises
        ------
        InputError
            If PyTorch is not installed.
        """
        source = self._lines(len(PHASES_OF))
        return averaged(first, self._fit(source, [LAST_PHASE], first, first, FIRST), NEW_WEIGHTS)

    def quantized(
        self, arrays: Mapping[str, NDArray[Any]], network: str
    ) -> dict[str, NDArray[Any]]:
        """Return the arrays of a trained network, quantized to 8-bit integers."""
        self.report(f"measuring the activations of the {network.replace('_', ' ')}")
        source, (*_, phase) = self._lines_and_phases(network)
        some = replace(phase, lines=MEASURED, wide=min(phase.wide, MEASURED))
        lines = _compose_lines(source, [some], self.jobs, None)
        return quantize(arrays, network, [line.pixels for line in lines])

    def _lines_and_phases(self, network: str) -> tuple[LineComposer, Sequence[Phase]]:
        """Return the lines of a network, and its phases but for the first one's last."""
        phases = FEW_PHASES if self.extra is None else PHASES_OF[network]
        return self._lines(list(PHASES_OF).index(network)), phases

    def _lines(self, place: int) -> LineComposer:
        """Return the lines of a network, or those of the first one's last phase."""
        seed = LINE_SEED + 2 * PHASE_SEED * place + self.recipe.seed
        return LineComposer(digits=self.digits, extra=self.extra, mail=self.mail, seed=seed)

    def _fit(
        self,
        source: LineComposer,
        phases: Sequence[Phase],
        arrays: Mapping[str, NDArray[Any]],
        start: Mapping[str, NDArray[Any]],
        network: str,
    ) -> dict[str, NDArray[Any]]:
        """Train a network for the last of some phases; the first one started from ``start``."""
        trainer, phase, name = with_pytorch(), phases[-1], network.replace("_", " ")
        self.report(f"composing lines for the {name}")
        lines = _compose_lines(source, phases, self.jobs, self.checkpoints)
        self.report(f"training the {name}")
        file = f"network-{_digest(source, phases, start)}.pt"
        fitted: dict[str, NDArray[Any]] = trainer.fit_network(
            lines,
            trainer.TrainingPlan(epochs=phase.epochs, rate=phase.rate, elastic=phase.elastic),
            seed=self.recipe.seed + len(phases) - 1,
            jobs=self.jobs,
            report=self.report,
            start=arrays,
            network=network,
            checkpoint=self.checkpoints / file if self.checkpoints else None,
        )
        return fitted


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
    wide = replace(
        hands,
        is_wide=True,
        seed=seed,
        amounts=phase.amounts,
        has_typefaces=phase.has_typefaces,
    )
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
    settings = (
        phases, composer.seed, composer.is_wide, composer.scale, composer.amounts,
        composer.has_typefaces,
    )  # fmt: skip
    digest = sha256(repr(settings).encode())
    for digits in (composer.digits, composer.extra, composer.mail):
        if digits:
            digest.update(pixels_digest(digits.images).encode() + digits.labels.tobytes())
    for array in start.values():
        digest.update(array.tobytes())
    return digest.hexdigest()[:12]


def averaged(
    old: Mapping[str, NDArray[Any]], new: Mapping[str, NDArray[Any]], share: float
) -> dict[str, NDArray[Any]]:
    """Average the arrays of a network with a ``share`` of the new ones."""
    return {
        name: ((1 - share) * old[name].astype(np.float32) + share * array).astype(array.dtype)
        for name, array in new.items()
    }


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
    return {new: arrays[old] for old, new in names if old in arrays}


def about_phases(phases: Sequence[Phase]) -> str:
    """Describe what a network was trained on."""
    rounds = ", then ".join(
        f"{phase.epochs} rounds on {phase.lines + phase.wide} lines" for phase in phases
    )
    more = ", of US mail, of amounts and of machines' type" if phases[-1].wide else ""
    more += ", of digits and addresses in handwriting typefaces" * phases[-1].has_typefaces
    return (
        f"a network trained for {rounds} composed of the same digits and typefaces, of digits drawn"
        f" in shapes of other countries, and of words and scribbles{more}"
    )
