"""Training of the network of letters, which reads the town beside a number."""

from hashlib import sha256
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from zipocr.line.network import LETTERS
from zipocr.training.data.datasets import DigitSet, pixels_digest
from zipocr.training.fit.letter_samples import LetterComposer
from zipocr.training.fit.line_samples import gather_lines
from zipocr.training.fit.network_phases import MEASURED, Report, with_pytorch
from zipocr.training.fit.quantization import quantize
from zipocr.training.synthesis.pages.faces import HANDWRITING, MORE_HANDWRITING
from zipocr.training.synthesis.pages.letter_lines import LetterLines

LINES, EPOCHS, RATE = 112_000, 5, 3e-3
SEED = 8100


def train_letters(
    digits: DigitSet, *, jobs: int, report: Report, checkpoints: Path | None = None
) -> dict[str, NDArray[Any]]:
    """Train the network of letters on composed lines with digits of these writers.

    A folder of ``checkpoints`` keeps lines and the training state, so that an interrupted training
    can resume.

    Raises
    ------
    InputError
        If PyTorch is not installed.
    """
    trainer = with_pytorch()
    composer = LetterComposer(lines=LetterLines(digits, seed=SEED))
    report("composing lines of letters")
    settings = (LINES, EPOCHS, RATE, SEED, HANDWRITING["train"], MORE_HANDWRITING)
    digest = sha256(repr(settings).encode() + pixels_digest(digits.images).encode()).hexdigest()
    folder = checkpoints / f"letters-{digest[:12]}" if checkpoints else None
    lines = gather_lines(composer, range(LINES), jobs=jobs, folder=folder)
    report("training the network of letters")
    arrays: dict[str, NDArray[Any]] = trainer.fit_network(
        lines,
        trainer.TrainingPlan(epochs=EPOCHS, rate=RATE),
        seed=0,
        jobs=jobs,
        report=report,
        network=LETTERS,
        checkpoint=folder / "network.pt" if folder else None,
    )
    return quantize(arrays, LETTERS, [line.pixels for line in lines[:MEASURED]])


def about_letters() -> str:
    """Describe what the network was trained on."""
    return (
        f"a network of letters trained for {EPOCHS} rounds on {LINES} composed lines of addresses,"
        " in the typefaces and handwriting of training pages, with digits that trained the other"
        " networks"
    )
