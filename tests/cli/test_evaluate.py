"""What ``zipocr evaluate`` guarantees; a fake rereads the pages."""

import json
from collections.abc import Mapping
from pathlib import Path

import cv2
import fakes
import madeup
import pytest
from click.testing import CliRunner, Result

from zipocr.cli import main
from zipocr.results.formats import open_results
from zipocr.types import Model, Place

TIME = "2026-11-24T08:00:00+00:00"


class Reader(madeup.Tracer):
    """Remembers how it was made."""

    made: list["Reader"]

    def __init__(
        self, model: Model, *, use_directory: bool, directory: Mapping[str, Place] | None
    ) -> None:
        self.model, self.use_directory, self.directory = model, use_directory, directory
        Reader.made.append(self)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run the command on made-up results, with any labels."""
    Reader.made = []
    monkeypatch.setattr("zipocr.mail_reader.MailReader", Reader)
    monkeypatch.setattr(
        "zipocr.models.model_file.load_model",
        lambda name: Model(arrays={}, card={"name": name}),
    )
    monkeypatch.chdir(tmp_path)
    with open_results("results.csv") as writer:
        writer.write(madeup.rows())

    def run(*options: str, labels: str = madeup.labels_csv(), place: str = "labels.csv") -> Result:
        Path(place).parent.mkdir(exist_ok=True)
        Path(place).write_text(labels)
        return CliRunner().invoke(main, ["evaluate", "results.csv", place, *options])

    return run


def save(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    done, data = cv2.imencode(".png", fakes.page())
    assert done
    path.write_bytes(data.tobytes())


def test_figures_are_printed_as_a_table(run) -> None:
    done = run("--by", "group")
    assert (done.exit_code, done.stderr) == (0, "")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [
        "group",
        "labelled",
        "exact",
        "95",
        "%",
        "read",
        "wrong|read",
        "@1%",
        "@0.1%",
        "ece",
        "unread",
    ] in lines
    assert [
        "a",
        "80",
        "0.775",
        "0.672-0.853",
        "0.787",
        "0.127",
        "0.438",
        "0.438",
        "0.066",
        "0.100",
    ] in lines
    assert [
        "all",
        "240",
        "0.787",
        "0.731-0.835",
        "0.792",
        "0.116",
        "0.471",
        "0.442",
        "0.056",
        "0.079",
    ] in lines
    assert ["right", "1.000", "1.000", "0.995", "0.917", "0.844"] in lines
    assert ["9", "1", "1", "1", "2", "101"] in lines
    assert ["crop-086.png", "1", "00003", "no", "ZIP", "0.8430", "read"] in lines
    assert "From 240 labelled pages." in done.stdout
    assert "That takes 299 accepted pages without an error; 221 were labelled." in done.stdout


def test_another_max_error_gives_another_threshold(run) -> None:
    assert "--min-confidence" in run("--max-error", "0.05").stdout
    assert run("--max-error", "0").exit_code == 2
    assert run("--max-error", "nan").exit_code == 2


def test_no_name_is_treated_as_markup(run) -> None:
    with open_results("results.csv") as writer:
        writer.write([madeup.row("[bold]a[/].png", "02109", 0.9)])
    done = run("--by", "kind", labels="file,zip,kind\n[bold]a[/].png,02108,[red]x\n")
    assert "[bold]a[/].png" in done.stdout


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        ("file\na\n", [], "no column zip"),
        ("file,zip\ncrop-000.png,108\n", [], "write 00108"),
        (
            "file,zip\nnowhere.png,02108\n",
            [],
            "1 of 1 labelled pages have no row in the results: nowhere.png page 1",
        ),
        ("file,zip\ncrop-000.png,02108\ncrop-000.png,02108\n", [], "is labelled above"),
        (
            madeup.labels_csv(),
            ["--by", "kind"],
            "no column kind to group by. Further columns: group",
        ),
    ],
)
def test_bad_labels_are_refused_with_a_fix_and_without_a_report(
    run, labels: str, options: list[str], message: str
) -> None:
    done = run(*options, "-o", "report", labels=labels)
    assert (done.exit_code, done.stdout, message in done.stderr) == (3, "", True), done.stderr
    assert not list(Path("report").iterdir())


def test_corrections_with_an_audit_give_an_estimate_for_the_batch(run) -> None:
    header, lines = "file,page,read_zip,zip,decision,drawn,time\n", []
    for number, row in enumerate(madeup.rows()):
        truth = madeup.truth_of(number)
        if row.status == "read" and number % 3:
            continue
        verdict = "not_a_zip" if not truth else "confirmed" if row.zip == truth else "corrected"
        lines.append(
            f"{row.file},1,{row.zip},{truth},{verdict},{'audit' if row.status == 'read' else 'doubt'},{TIME}\n"
        )
    done = run(labels=header + "".join(lines))
    assert done.exit_code == 0, done.stderr
    assert (
        "An estimate for all 240 pages, from 63 audited of 190 that were read and 50 decided "
        "of 50 doubtful." in done.stdout
    )
    figures = next(
        line.split() for line in done.stdout.splitlines() if line.startswith(("all", " all"))
    )
    assert (figures[1], figures[4]) == ("113", "0.792")


def test_a_report_shows_how_the_worst_errors_arose(run, tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    save(tmp_path / "crop-075.png")
    done = run("-o", "report", "--by", "group", "--no-directory", "--model", "digits")
    assert (done.exit_code, done.stderr) == (0, f"wrote {Path('report') / 'report.html'}\n")
    (reader,) = Reader.made
    assert (reader.use_directory, reader.model.card) == (False, {"name": "digits"})
    page = Path("report/report.html").read_text()
    assert page.count('class="sheet"') == 1
    assert "Reading again gives 00007" in page
    facts = json.loads(Path("report/report.json").read_bytes())
    assert (facts["by"], facts["results"]["file"], facts["labels"]["file"]) == (
        "group",
        "results.csv",
        "labels.csv",
    )
    assert facts["all"]["exact"] == 0.7875


@pytest.mark.parametrize("place", ["labels/crop-075.png", "crops/crop-075.png", "crop-075.png"])
def test_images_are_found_beside_the_labels_in_the_given_folder_or_where_scanned(
    run, tmp_path: Path, place: str
) -> None:
    pytest.importorskip("jinja2")
    save(tmp_path / place)
    options = ["--images", "crops"] if place.startswith("crops") else []
    assert run("-o", "report", *options, place="labels/labels.csv").exit_code == 0
    assert Path("report/report.html").read_text().count('class="sheet"') == 1


def test_without_images_no_model_is_loaded(run) -> None:
    pytest.importorskip("jinja2")
    assert run("-o", "report", "--worst", "2").exit_code == 0
    assert Reader.made == []
    assert Path("report/report.html").read_text().count("The image was not found") == 2


def test_an_existing_report_is_replaced_only_with_force(run) -> None:
    pytest.importorskip("jinja2")
    Path("report").mkdir()
    Path("report/report.json").write_text("mine")
    done = run("-o", "report")
    assert (done.exit_code, done.stdout, "Replace it with --force" in done.stderr) == (5, "", True)
    assert Path("report/report.json").read_text() == "mine"
    assert run("-o", "report", "--force").exit_code == 0


def test_a_folder_that_cannot_be_created_is_named(run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run("-o", "file/report")
    assert (done.exit_code, "Cannot make the folder" in done.stderr) == (5, True)
