"""What happens to rows that a person decided about, and to all others."""

import hashlib
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from madeup import row

from zipocr.cli import main
from zipocr.output.apply_corrections import decided
from zipocr.results.cells import to_cell
from zipocr.results.corrections import Decision, SampledAs, Verdict
from zipocr.results.csv_file import format_rows
from zipocr.results.formats import open_results, read_results
from zipocr.types import Place, Reason, Status

HEADER = "file,page,read_zip,zip,decision,drawn,time\n"
TIME = "2026-11-24T08:00:00+00:00"
PLACES = {"02108": Place(city="Boston", state="MA"), "10001": Place(city="New York", state="NY")}
ROWS = [
    row("=a.png", "02108", 0.99),
    row("b.tif", "10001", 0.4, page=1),
    row("b.tif", "100011234", 0.3, page=2),
    row("c.png", "", 0),
    row("d.png", "99999", 0.5),
]


def decision(verdict: str, right: str = "", *, read: str = "10001") -> Decision:
    return Decision(
        file="b.tif",
        page=1,
        read_zip=read,
        zip=right,
        decision=Verdict(verdict),
        drawn=SampledAs.DOUBT,
        time=TIME,
    )


def line(file: str, page: int, read: str, right: str, verdict: str) -> str:
    return f"{to_cell(file)},{page},{read},{right},{verdict},doubt,{TIME}\n"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    path = tmp_path / "results.csv"
    with open_results(str(path)) as writer:
        writer.write(ROWS)
    return path


@pytest.fixture
def apply(tmp_path: Path, results: Path):
    def apply(
        corrections: str, *options: str | Path, output: Path = tmp_path / "final.csv"
    ) -> Result:
        (tmp_path / "corrections.csv").write_text(HEADER + corrections)
        return CliRunner().invoke(
            main,
            [
                "apply",
                str(results),
                str(tmp_path / "corrections.csv"),
                "-o",
                str(output),
                *map(str, options),
            ],
        )

    return apply


def test_a_confirmed_row_counts_as_read_with_full_confidence() -> None:
    found = decided(ROWS[1], decision("confirmed", "10001"), PLACES)
    assert (found.zip, found.plus4, found.confidence, found.status) == (
        "10001",
        "",
        1.0,
        Status.READ,
    )
    assert (found.reason, found.digit_confidences) == ((Reason.CONFIRMED_BY_PERSON,), (1.0,) * 5)
    assert (found.city, found.state, found.runner_up, found.runner_up_confidence) == (
        "New York",
        "NY",
        "",
        None,
    )


def test_a_corrected_row_gets_the_right_digits_and_their_city_and_state() -> None:
    found = decided(ROWS[1], decision("corrected", "02108-0042"), PLACES)
    assert (found.file, found.page, found.zip, found.plus4) == ("b.tif", 1, "02108", "0042")
    assert (found.reason, len(found.digit_confidences)) == ((Reason.CORRECTED_BY_PERSON,), 9)
    assert (found.city, found.state) == ("Boston", "MA")


def test_an_unlisted_zip_is_still_reported_as_unlisted() -> None:
    found = decided(ROWS[1], decision("corrected", "99999"), PLACES)
    assert (found.reason, found.city) == ((Reason.NOT_IN_DIRECTORY, Reason.CORRECTED_BY_PERSON), "")
    assert list(found.reason) == sorted(found.reason, key=list(Reason).index)
    assert decided(ROWS[1], decision("corrected", "99999"), {}).reason == (
        Reason.CORRECTED_BY_PERSON,
    )


def test_a_row_marked_as_not_a_zip_becomes_unread() -> None:
    found = decided(ROWS[1], decision("not_a_zip"), PLACES)
    assert (found.zip, found.confidence, found.status, found.reason) == (
        "",
        None,
        Status.UNREAD,
        (Reason.NOT_A_ZIP,),
    )


def test_rows_without_a_decision_are_kept_byte_for_byte(
    apply, results: Path, tmp_path: Path
) -> None:
    odd = (
        results.read_bytes()
        .replace(b"\n", b"\r\n")
        .replace(b"d.png,", b'"d.png",')
        .removesuffix(b"\r\n")
    )
    results.write_bytes(odd)
    done = apply(line("b.tif", 2, "10001-1234", "10001-1235", "corrected"))
    assert done.exit_code == 0, done.output
    before, after = odd.split(b"\r\n"), (tmp_path / "final.csv").read_bytes().split(b"\r\n")
    assert [
        place for place, (one, other) in enumerate(zip(before, after, strict=True)) if one != other
    ] == [3]
    assert after[3].startswith(b"b.tif,2,10001,1235,1.0000,read,corrected_by_person,")


def test_the_output_is_a_results_file_with_all_decisions_applied(apply, tmp_path: Path) -> None:
    done = apply(
        line("=a.png", 1, "02108", "02108", "confirmed")
        + line("b.tif", 1, "10001", "", "not_a_zip")
        + line("c.png", 1, "", "10001", "corrected")
        + line("d.png", 1, "99999", "", "skipped")
    )
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr.endswith("final.csv: confirmed 1, corrected 1, not a zip 1, untouched 2\n")
    found = list(read_results(tmp_path / "final.csv"))
    assert [one.zip for one in found] == ["02108", "", "10001", "10001", "99999"]
    assert found[3].city == "New York"
    assert format_rows([found[2], found[4]]) == format_rows([ROWS[2], ROWS[4]])


def test_the_last_decision_about_a_page_wins(apply, tmp_path: Path, results: Path) -> None:
    apply(line("c.png", 1, "", "10001", "corrected") + line("c.png", 1, "", "", "undone"))
    assert (tmp_path / "final.csv").read_bytes() == results.read_bytes()


@pytest.mark.parametrize(
    ("corrections", "reported"),
    [
        (
            line("e.png", 1, "02108", "02108", "confirmed"),
            "1 of 1 decisions are about pages that are not in the results: e.png page 1",
        ),
        (line("b.tif", 3, "02108", "02108", "confirmed"), "not in the results: b.tif page 3"),
        (
            line("b.tif", 1, "10002", "10001", "corrected"),
            "10002 was read when it was decided about, and these results have 10001",
        ),
        (line("b.tif", 2, "10001", "10001", "confirmed"), "these results have 10001-1234"),
        (line("c.png", 1, "02108", "02108", "confirmed"), "these results have nothing"),
    ],
)
def test_decisions_about_other_results_are_refused_and_nothing_is_written(
    apply, tmp_path: Path, corrections: str, reported: str
) -> None:
    done = apply(corrections)
    assert (done.exit_code, reported in done.stderr) == (3, True), done.stderr
    assert not (tmp_path / "final.csv").exists()


def test_unknown_columns_in_corrections_are_refused(tmp_path: Path, results: Path) -> None:
    (tmp_path / "more.csv").write_text(HEADER.replace("time", "time,who"))
    done = CliRunner().invoke(
        main, ["apply", str(results), str(tmp_path / "more.csv"), "-o", str(tmp_path / "final.csv")]
    )
    assert (done.exit_code, "unknown: who" in done.stderr) == (3, True)


def test_a_page_that_appears_twice_in_the_results_is_refused(apply, results: Path) -> None:
    with results.open("a") as file:
        file.write(format_rows([ROWS[1]]))
    assert (
        "b.tif, page 1, is in the results twice"
        in apply(line("b.tif", 1, "10001", "10001", "confirmed")).stderr
    )


def test_existing_output_is_replaced_only_with_force(apply, tmp_path: Path) -> None:
    (tmp_path / "final.csv").write_text("mine")
    done = apply("")
    assert (done.exit_code, "exists already. Replace it with --force" in done.stderr) == (5, True)
    assert (tmp_path / "final.csv").read_text() == "mine"
    assert apply("", "--force").exit_code == 0
    assert list(read_results(tmp_path / "final.csv")) == list(
        read_results(tmp_path / "results.csv")
    )


def test_the_input_results_are_never_replaced_by_the_output(apply, results: Path) -> None:
    before = results.read_bytes()
    done = apply("", "--force", output=results)
    assert (done.exit_code, results.read_bytes()) == (5, before)


@pytest.mark.posix
@pytest.mark.parametrize("name", ["corrections.csv", "zips.txt", "link.csv"])
def test_no_input_file_is_replaced_even_with_force(apply, tmp_path: Path, name: str) -> None:
    (tmp_path / "zips.txt").write_text("10001\n")
    (tmp_path / "link.csv").symlink_to("corrections.csv")
    decided = line("b.tif", 1, "10001", "10001", "confirmed")
    done = apply(decided, "--force", "--directory", tmp_path / "zips.txt", output=tmp_path / name)
    assert (done.exit_code, "which is read. Write to another file" in done.stderr) == (5, True)
    assert (tmp_path / "corrections.csv").read_text() == HEADER + decided
    assert (tmp_path / "zips.txt").read_text() == "10001\n"


@pytest.mark.posix
def test_the_json_file_next_to_the_output_replaces_no_input(
    apply, results: Path, tmp_path: Path
) -> None:
    (tmp_path / "final.csv.json").symlink_to(results)
    before = results.read_bytes()
    done = apply("", "--force")
    assert (done.exit_code, results.read_bytes()) == (5, before)


def test_city_and_state_come_from_the_users_own_list(apply, tmp_path: Path) -> None:
    (tmp_path / "ours.csv").write_text("zip,city,state\n10001,Gotham,NJ\n")
    corrections = line("c.png", 1, "", "10001", "corrected")
    assert apply(corrections, "--directory", tmp_path / "ours.csv").exit_code == 0
    assert list(read_results(tmp_path / "final.csv"))[3].city == "Gotham"
    assert apply(corrections, "--no-directory", "--force").exit_code == 0
    assert list(read_results(tmp_path / "final.csv"))[3].city == ""


def test_provenance_is_written_next_to_the_new_results(
    apply, results: Path, tmp_path: Path
) -> None:
    results.with_name("results.csv.json").write_text(
        json.dumps({"model_name": "mail", "folder": "/in", "paths": ["x"]})
    )
    apply(line("c.png", 1, "", "10001", "corrected"))
    found = json.loads((tmp_path / "final.csv.json").read_bytes())
    assert (found["model_name"], found["folder"], found["paths"]) == ("mail", "/in", ["x"])
    assert found["applied"]["rows"] == {"untouched": 4, "corrected": 1}
    for reported, name in (
        (found["results"], "final.csv"),
        (found["applied"]["results"], "results.csv"),
    ):
        assert reported == {
            "file": name,
            "sha256": hashlib.sha256((tmp_path / name).read_bytes()).hexdigest(),
        }


def test_decisions_from_several_people_are_applied_together(apply, tmp_path: Path) -> None:
    other = line("c.png", 1, "", "94110", "corrected")
    same = line("b.tif", 1, "10001", "10001", "confirmed")
    (tmp_path / "bob.csv").write_text(HEADER + same + other)
    done = apply(same, tmp_path / "bob.csv")
    assert done.exit_code == 0, done.stderr
    assert "confirmed 1, corrected 1" in done.stderr
    reported = json.loads((tmp_path / "final.csv.json").read_text())["applied"]["corrections"]
    assert [one["file"] for one in reported] == ["corrections.csv", "bob.csv"]


def test_conflicting_decisions_by_two_people_are_reported(apply, tmp_path: Path) -> None:
    (tmp_path / "bob.csv").write_text(HEADER + line("b.tif", 1, "10001", "", "not_a_zip"))
    done = apply(line("b.tif", 1, "10001", "10001", "confirmed"), tmp_path / "bob.csv")
    message = " ".join(done.stderr.split())
    assert done.exit_code == 3
    assert "1 page is decided differently: b.tif page 1, 10001 in " in message
    assert "corrections.csv and no ZIP in " in message
    assert "Remove the line that is wrong." in message
    assert not (tmp_path / "final.csv").exists()
