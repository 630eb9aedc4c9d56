"""What ``zipocr train --corrections`` guarantees.

A stand-in does the learning, which is slow and has its own tests.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from fakes import bare_model

from zipocr.cli import main
from zipocr.cli.learning import verdict
from zipocr.errors import InputError, ModelError, OutputError
from zipocr.models.model_file import load_model, model_digest, save_model
from zipocr.results.corrections import Decision, SampledAs, Verdict, open_corrections
from zipocr.training.adapt.learn import Adaptation, Progress
from zipocr.training.benchmark.measure import Crop
from zipocr.training.benchmark.metrics import Change
from zipocr.types import Model

TIME = "2026-01-31T12:00:00+00:00"
GAIN = Change(now=0.65, difference=0.05, half_width=0.02)
NO_GAIN = Change(now=0.61, difference=0.01, half_width=0.02)


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(
        main, ["train", *(os.fspath(argument) for argument in arguments)], catch_exceptions=False
    )


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"never opened here")
    return folder


@pytest.fixture
def corrections(tmp_path: Path) -> Path:
    path = tmp_path / "corrections.csv"
    with open_corrections(path) as file:
        for name, zip_code, decision in (
            ("a.png", "02108", Verdict.CORRECTED),
            ("b.png", "", Verdict.NOT_A_ZIP),
        ):
            file.append(
                Decision(
                    file=name,
                    page=1,
                    read_zip="",
                    zip=zip_code,
                    decision=decision,
                    drawn=SampledAs.DOUBT,
                    time=TIME,
                )
            )
    return path


@pytest.fixture
def base(tmp_path: Path) -> Path:
    path = tmp_path / "base.npz"
    save_model(path, bare_model({"accuracy": {"somewhere": 0.9}}))
    return path


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The arguments the learner was given; ``without`` is the change it returns."""
    asked: dict[str, Any] = {"without": GAIN}

    def learn(
        model: Model,
        crops: Sequence[Crop],
        *,
        jobs: int,
        seed: int,
        report: Callable[[str], None],
        progress: Progress,
    ) -> Adaptation:
        asked.update(crops=crops, jobs=jobs, seed=seed)
        report("working on it")
        with progress(2) as advance:
            advance()
        return Adaptation(
            model=model,
            with_directory=NO_GAIN,
            without=asked["without"],
            pages=400,
            taught=390,
            weight=0.1,
            notes=("confidence: so so",),
        )

    monkeypatch.setattr("zipocr.training.adapt.learn.learn", learn)
    return asked


@pytest.fixture
def words(corrections: Path, images: Path, base: Path, tmp_path: Path) -> list[str | Path]:
    return [
        "--corrections",
        corrections,
        "--images",
        images,
        "--base",
        base,
        "-o",
        tmp_path / "mine.npz",
    ]


def test_the_gain_is_printed_and_the_model_names_its_base(
    words: list[str | Path], base: Path, tmp_path: Path, asked
) -> None:
    result = invoke(*words, "--seed", "3", "--jobs", "2")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[1:] == [
        "                     before   after  difference",
        "with a directory     0.6000  0.6100   +0.0100 ± 0.0200  no measurable gain",
        "without              0.6000  0.6500   +0.0500 ± 0.0200  better",
        "adapted to 390 pages, at weight 0.1",
        "confidence: so so",
    ]
    assert result.stderr.splitlines()[:2] == [
        "2 pages are labelled, 1 of them have a ZIP",
        "working on it",
    ]
    assert [(crop.path.name, crop.truth.zip) for crop in asked["crops"]] == [("a.png", "02108")]
    assert (asked["jobs"], asked["seed"]) == (2, 3)
    card = load_model(str(tmp_path / "mine.npz")).card
    assert card["accuracy of the base"] == {"somewhere": 0.9}
    learnt = card["learnt"]
    assert learnt["base sha256"] == model_digest(str(base))
    assert learnt["corrected pages"] == 400


@pytest.mark.parametrize("change", [NO_GAIN, Change(now=0.5, difference=-0.1, half_width=0.02)])
def test_without_a_gain_the_model_is_written_unless_only_if_better_is_given(
    words: list[str | Path], tmp_path: Path, asked, change
) -> None:
    asked["without"] = change
    result = invoke(*words, "--only-if-better")
    assert result.exit_code == ModelError.exit_code
    assert "mine.npz is not written, since there is no measurable gain" in result.stderr
    assert verdict(change) in result.stdout
    assert not (tmp_path / "mine.npz").exists()
    assert invoke(*words).exit_code == 0
    assert (tmp_path / "mine.npz").exists()


@pytest.mark.usefixtures("asked")
def test_a_model_with_a_gain_is_written_with_only_if_better_too(
    words: list[str | Path], tmp_path: Path
) -> None:
    assert invoke(*words, "--only-if-better").exit_code == 0
    assert (tmp_path / "mine.npz").exists()


def test_plain_labels_work_like_corrections(
    words: list[str | Path],
    corrections: Path,
    asked: dict[str, Any],
) -> None:
    corrections.write_text("file,zip\na.png,02108\nb.png,\nc.png,02108-1234\n")
    assert invoke(*words).stderr.startswith("3 pages are labelled, 2 of them have a ZIP\n")
    truths = [(crop.truth.zip, crop.truth.plus4) for crop in asked["crops"]]
    assert truths == [("02108", None), ("02108", "1234")]


@pytest.mark.usefixtures("asked")
def test_a_folder_with_none_of_the_pages_is_refused(words: list[str | Path], images: Path) -> None:
    (images / "a.png").unlink()
    result = invoke(*words)
    assert result.exit_code == InputError.exit_code
    assert "Give the PATH that was scanned" in result.stderr


@pytest.mark.parametrize(
    ("left_out", "added", "cure"),
    [
        ("--images", [], "--images DIR"),
        ("--corrections", [], "--corrections FILE.csv"),
        ("-o", [], "--model-out FILE.npz"),
        ("", ["--tune"], "--tune does not apply"),
        ("", ["--data", "digits"], "--data does not apply"),
        ("", ["--C", "3"], "--C does not apply"),
    ],
)
def test_missing_options_and_options_of_other_tasks_are_refused(
    words: list[str | Path], asked, left_out: str, added: list[str], cure: str
) -> None:
    pairs = [words[place : place + 2] for place in range(0, len(words), 2)]
    result = invoke(*(word for pair in pairs if pair[0] != left_out for word in pair), *added)
    assert result.exit_code == 2
    assert cure in result.stderr
    assert "crops" not in asked


def test_the_base_is_never_overwritten(words: list[str | Path], base: Path, asked) -> None:
    before = base.read_bytes()
    assert invoke(*words[:-1], base).exit_code == 2
    assert "crops" not in asked
    assert base.read_bytes() == before


def test_a_missing_folder_is_reported_before_anything_is_read(
    words: list[str | Path], tmp_path: Path, asked
) -> None:
    result = invoke(*words[:-1], tmp_path / "missing" / "mine.npz")
    assert result.exit_code == OutputError.exit_code
    assert "crops" not in asked
