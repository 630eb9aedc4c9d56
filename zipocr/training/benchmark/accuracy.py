"""Measurement of the shipped models, and update of the manual.

Run as ``python -m zipocr.training.benchmark.accuracy ROOT LABELS.csv... [--digits DATA]``, where
ROOT is a checkout. Each LABELS.csv (file, zip; optionally page, plus4, and stratum or kind to group
by) is beside its crops. Crops of `TURNED` are also read rotated. With the NIST digits DATA, strings
and pages without a ZIP are composed on the fly from digits of the test writers, to count whole
regions and false reads.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
from threadpoolctl import threadpool_limits

from zipocr.batch.backends import usable_cores
from zipocr.models.model_file import SHIPPED, load_model
from zipocr.training.assets.benchmark_strings import QUOTAS, MailComposer
from zipocr.training.benchmark import false_reads, figures, report
from zipocr.training.benchmark import rotations as turned
from zipocr.training.benchmark.ablation import ablate
from zipocr.training.benchmark.measure import (
    Recall,
    judges,
    load_labels,
    read_composed_pages,
    read_crops,
    read_strings,
)
from zipocr.training.benchmark.metrics import Pair
from zipocr.training.benchmark.report import Measured
from zipocr.training.data.datasets import (
    DigitSet,
    load_digits_set,
    load_npz,
    load_openml,
    split_writers,
)
from zipocr.training.fit.recipes import digit_accuracy
from zipocr.training.synthesis.pages.compose import PAGE_QUOTAS, PageComposer
from zipocr.training.synthesis.pages.layouts import NO_MAIL
from zipocr.training.synthesis.typefaces import typefaces

MODELS = tuple(reversed(SHIPPED))
BEST = "mail"
"""The model for the ablation."""
ABLATED = 1000
"""Maximum number of crops for the ablation: every n-th of the largest set."""
STRINGS = {"mail": 3000, "digits": 400}
"""Number of strings composed on the fly."""
FROZEN = "strings"
"""Folder of the strings in the repository."""
LABELLED_PAGES = "envelopes"
"""Folder of whole pages, reported by kind in the manual."""
PAGES = 400
"""Number of whole pages composed on the fly."""
TURNED = ("sample_scans", FROZEN, "dev", "kinds", "cheques")
"""Folders of crops that are also read rotated."""
FLOOR_STEPS = {"mail": 1, "digits": 4}
"""Step between the crops in the test of the accuracy floor, to keep it fast."""
_SEED = 4711


def measure(labels: Sequence[Path], *, jobs: int) -> list[Measured]:
    """Read every labelled set with every model, and print all figures."""
    measured = []
    for path in labels:
        crops = load_labels(path)
        for name in MODELS:
            _say(f"reading {path.parent.name} with {name}")
            answers = read_crops(judges(load_model(name)), crops, jobs=jobs)
            measured.append(Measured(crops=path.parent.name, model=name, answers=answers))
            _show(measured[-1])
    return measured


def ablation(labels: Sequence[Path], measured: Sequence[Measured], *, jobs: int) -> list[str]:
    """Run the ablation on the largest set; return lines of Markdown."""
    sets = {
        path.parent.name: [crop for crop in load_labels(path) if crop.truth.zip] for path in labels
    }
    name = max(sets, key=lambda name: len(sets[name]))
    step = -(-len(sets[name]) // ABLATED)
    full = next(one.answers for one in measured if (one.crops, one.model) == (name, BEST))
    _say(f"switching parts off on {name}")
    without = ablate(load_model(BEST), sets[name][::step], jobs=jobs)
    table = report.ablation_table(_every(full, step), without)
    return [
        f"`{BEST}` on {len(sets[name][::step])} crops of `{name}`, with one part switched off "
        "at a time:",
        "",
        *table,
    ]


def strings(test: DigitSet, *, jobs: int) -> list[str]:
    """Read composed strings of the test writers and count whole regions.

    Returns lines of Markdown.
    """
    composer = MailComposer(test, seed=_SEED, kinds=QUOTAS, strength=0, faces=typefaces("test"))
    measured: list[Measured] = []
    recalls: dict[str, tuple[Recall, ...]] = {}
    for name in MODELS:
        _say(f"reading {STRINGS[name]} composed strings with {name}")
        answers, recalls[name] = read_strings(
            judges(load_model(name)), composer, STRINGS[name], jobs=jobs
        )
        measured.append(Measured(crops="composed", model=name, answers=answers))
        _show(measured[-1])
    _print(
        "composed: whole regions of all digits", report.recall_table(recalls[BEST], by_kind=True)
    )
    return [*report.strings_table(measured), "", *report.recall_table(recalls[BEST], by_kind=False)]


def pages(test: DigitSet, measured: Sequence[Measured], *, jobs: int) -> list[str]:
    """Tabulate composed pages of the test writers and labelled pages; return lines of Markdown."""
    _say(f"reading {PAGES} composed pages")
    kinds = {kind: weight for kind, weight in PAGE_QUOTAS.items() if kind not in NO_MAIL}
    composer = PageComposer(test, seed=_SEED, part="test", kinds=kinds, without_zip=0.0)
    found = {"composed": read_composed_pages(judges(load_model(BEST)), composer, PAGES, jobs=jobs)}
    found |= {
        f"`{one.crops}`": one.answers
        for one in measured
        if one.crops == LABELLED_PAGES and one.model == BEST
    }
    return report.kinds_table(found)


def without_zip(test: DigitSet, *, jobs: int) -> list[str]:
    """Read composed pages without a ZIP; return lines of Markdown."""
    _say("reading pages without a ZIP")
    judge = judges(load_model(BEST))[0]
    tallies = [
        *false_reads.count_false_reads(judge, test, jobs=jobs),
        *false_reads.count_false_pages(judge, test, jobs=jobs),
    ]
    _print("pages without a ZIP", false_reads.full_table(tallies))
    return false_reads.compact_table(tallies)


def sideways(labels: Sequence[Path], *, jobs: int) -> list[str]:
    """Read rotated crops; return lines of Markdown."""
    _say("reading turned crops")
    judge = judges(load_model(BEST))[0]
    sets = [path for path in labels if path.parent.name in TURNED]
    return turned.turned_table(
        [
            (path.parent.name, turned.read_turned(judge, load_labels(path), jobs=jobs))
            for path in sets
        ]
    )


def digit_line(test: DigitSet) -> str:
    """Return the models' accuracy on isolated digits of unseen writers."""
    shares = ", ".join(f"`{name}` {digit_accuracy(load_model(name), test):.4f}" for name in MODELS)
    return (
        f"Isolated NIST digits of the 31 writers that trained and calibrated nothing ({len(test)} "
        f"digits), share right: {shares}."
    )


def floors(measured: Sequence[Measured]) -> str:
    """Return the line of floors for ``tests/test_accuracy_floor.py``."""
    frozen = {
        one.model: report.floor(_every(one.answers, FLOOR_STEPS[one.model]))
        for one in measured
        if one.crops == FROZEN
    }
    return (
        "MEASURED = {" + ", ".join(f'"{name}": {figures}' for name, figures in frozen.items()) + "}"
    )


def false_read_floor(*, jobs: int) -> str:
    """Return the floor for pages without a ZIP."""
    return (
        "FALSE_READS = "
        f"{false_reads.floor(judges(load_model(BEST))[0], load_digits_set(), jobs=jobs)}"
    )


def _every(answers: Pair, step: int) -> Pair:
    return answers[0][::step], answers[1][::step]


def _show(one: Measured) -> None:
    for used, answers in zip(report.DIRECTORY, one.answers, strict=True):
        title = f"{one.crops}, {one.model}, directory: {used}"
        _print(title, [*report.full_table(answers), "", *report.reliability_table(answers)])


def _print(title: str, lines: Sequence[str]) -> None:
    print(f"\n{title}\n", *lines, sep="\n", flush=True)  # noqa: T201 - this is a command


def _say(text: str) -> None:
    print(f"{text} ...", file=sys.stderr, flush=True)  # noqa: T201 - this is a command


def main() -> None:
    """Measure, print everything, and write the manual's tables."""
    parser = argparse.ArgumentParser(
        description="Measure the shipped models, and write the results into the manual."
    )
    parser.add_argument("root", type=Path)
    parser.add_argument("labels", type=Path, nargs="+")
    parser.add_argument("--digits", help="NIST digits, an .npz file or openml")
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    jobs = usable_cores()
    sections: dict[str, list[str]] = {}
    with threadpool_limits(1):
        measured = measure(asked.labels, jobs=jobs)
        sections["summary"] = report.summary_table(measured, BEST)
        sections["results"] = report.compact_table(measured)
        sections["ablation"] = ablation(asked.labels, measured, jobs=jobs)
        sections["turned"] = sideways(asked.labels, jobs=jobs)
        if asked.digits:
            test = split_writers(
                load_openml() if asked.digits == "openml" else load_npz(Path(asked.digits))
            ).test
            sections["strings"] = [*strings(test, jobs=jobs), "", digit_line(test)]
            sections["pages"] = pages(test, measured, jobs=jobs)
            sections["without a zip"] = without_zip(test, jobs=jobs)
    for name, lines in sections.items():
        _print(name, lines)
    figures.record(asked.root, sections)
    _print("for tests/test_accuracy_floor.py", [floors(measured), false_read_floor(jobs=jobs)])


if __name__ == "__main__":
    main()
