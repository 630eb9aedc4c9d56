import errno
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from hashlib import sha256
from itertools import takewhile
from pathlib import Path
from typing import Any

import fakes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zipocr import __version__
from zipocr.batch.read_files import BatchSettings, FileResult
from zipocr.errors import OutputError
from zipocr.images.listing import ImageFile, stamp_of
from zipocr.output.run import (
    FileOutput,
    Output,
    completed,
    describe_mismatch,
    identify,
    identify_process,
    list_digest,
    open_output,
)
from zipocr.results.csv_file import format_rows
from zipocr.results.formats import read_results
from zipocr.results.row import to_row
from zipocr.types import Place, Reason, Unread

IDENTITY: dict[str, Any] = {"zipocr": "1", "options": {"max_pixels": 100}}
FACTS = {"counts": {"read": 9}}
SETTINGS = BatchSettings(
    model="digits",
    max_error=0.01,
    min_confidence=0.5,
    use_directory=True,
    directory=None,
    max_pixels=10_000,
    debug=None,
)


def outcome(number: int) -> FileResult:
    """The result of a file with one page more than the previous one; every third is too large."""
    readings = [fakes.zip_reading(f"{number:05d}"), Unread(reason=Reason.TOO_LARGE)]
    name = f"=ä,{number}\n\udcff.png"
    pages = range(1, number + 2)
    return FileResult.of(
        rows=tuple(
            to_row(name, page, readings[number % 3 == 2], min_confidence=0.5) for page in pages
        ),
        failures=tuple(f"page {page}" for page in pages if number % 3 == 2),
    )


OUTCOMES = [outcome(number) for number in range(6)]
FILES = [ImageFile(place=f"/missing/{number}", name=f"{number}") for number in range(6)]


def write(
    target: Path,
    *,
    stop: int | None = None,
    identity: Mapping[str, Any] = IDENTITY,
    files: Sequence[ImageFile] = FILES,
    outcomes: Sequence[FileResult] = OUTCOMES,
    **how: bool,
) -> list[FileResult]:
    """Write all outcomes, or die after ``stop`` of them; return those that existed already."""
    with open_output(str(target), identity, **how) as output:
        so_far = output.survey(files)
        before = list(output.outcomes(so_far.kept()))
        for number in takewhile(lambda number: stop is None or number < stop, so_far.unfinished()):
            stamp = stamp_of(files[number].place)
            so_far.positions[number] = output.write(outcomes[number], read=number, stamp=stamp)
        if stop is None:
            output.complete(so_far.positions, FACTS)
        return before


def keep(output: Output, *numbers: int) -> list[int]:
    """Append some outcomes to the journal; return their positions."""
    return [output.write(OUTCOMES[number], read=number, stamp="") for number in numbers]


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "results.csv"


def test_a_run_leaves_its_rows_and_their_provenance(target: Path) -> None:
    write(target)
    assert sorted(path.name for path in target.parent.iterdir()) == [
        "results.csv",
        "results.csv.json",
    ]
    assert list(read_results(target)) == [row for one in OUTCOMES for row in one.rows]


def test_an_unfinished_run_leaves_a_journal_and_no_rows(target: Path) -> None:
    write(target, stop=3)
    assert [path.name for path in target.parent.iterdir()] == ["results.csv.journal"]
    assert write(target, resume=True) == OUTCOMES[:3]
    assert list(read_results(target)) == [row for one in OUTCOMES for row in one.rows]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=3))
@settings(max_examples=40)
def test_the_output_is_identical_wherever_earlier_runs_were_cut_off(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[float]
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    target, journal = folder / "results.csv", folder / "results.csv.journal"
    for cut in cuts:
        # All that a crash can leave behind: a journal truncated at any byte.
        write(target, stop=len(OUTCOMES), resume=True)
        data = journal.read_bytes()
        journal.write_bytes(data[: int(cut * len(data))])
    write(target, resume=True)
    assert target.read_text().partition("\n")[2] == format_rows(
        row for one in OUTCOMES for row in one.rows
    )


def saved(folder: Path) -> list[ImageFile]:
    """Create an input for each outcome."""
    folder.mkdir()
    for number in range(len(OUTCOMES)):
        (folder / f"{number}.png").write_text("old")
    return [ImageFile(place=str(path), name=path.name) for path in sorted(folder.iterdir())]


def test_changed_inputs_are_read_again_and_the_rows_keep_their_order(tmp_path: Path) -> None:
    files, target = saved(tmp_path / "in"), tmp_path / "results.csv"
    write(target, files=files, stop=5)
    Path(files[1].place).write_text("changed")
    Path(files[3].place).unlink()
    renewed = [replace(one, lines=one.lines.replace(".png", ".new")) for one in OUTCOMES]
    kept = write(target, files=files, outcomes=renewed, stop=3, resume=True)
    assert kept == [OUTCOMES[number] for number in (0, 2, 4)]
    with open_output(str(target), IDENTITY, resume=True) as output:
        so_far = output.survey(files)
        assert (so_far.finished, so_far.changed, list(so_far.unfinished())) == (4, 1, [3, 5])
    write(target, files=files, outcomes=renewed, resume=True)
    expected = [renewed[n] if n in {1, 3, 5} else OUTCOMES[n] for n in range(6)]
    assert target.read_text().partition("\n")[2] == "".join(one.lines for one in expected)
    provenance = json.loads((tmp_path / "results.csv.json").read_text())
    assert provenance["input_versions"]["superseded"] == 2
    assert provenance["inputs_finished_before_the_last_resume"] == 4


def test_a_changed_file_is_detected_even_if_its_size_or_mtime_is_the_same(tmp_path: Path) -> None:
    files, target = saved(tmp_path / "in"), tmp_path / "results.csv"
    write(target, files=files, stop=5)
    for number, text in ((1, "new"), (2, "longer")):
        before = os.stat(files[number].place)  # noqa: PTH116 - a string, as in the list
        Path(files[number].place).write_text(text)
        later = before.st_mtime_ns + (number == 1)
        os.utime(files[number].place, ns=(later, later))
    with open_output(str(target), IDENTITY, resume=True) as output:
        assert list(output.survey(files).unfinished()) == [1, 2, 5]


def test_results_are_not_complete_if_inputs_have_changed_since(tmp_path: Path) -> None:
    files, target = saved(tmp_path / "in"), tmp_path / "results.csv"
    write(target, files=files)
    assert completed(str(target), IDENTITY, files) == FACTS["counts"]
    Path(files[1].place).write_text("changed")
    with pytest.raises(OutputError, match=r"inputs have changed .*--force"):
        completed(str(target), IDENTITY, files)


def test_a_journal_of_any_length_can_be_resumed(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    write(tmp_path / "whole" / "results.csv")
    write(tmp_path / "results.csv", stop=2)
    data = (tmp_path / "results.csv.journal").read_bytes()
    for length in range(0, len(data) + 1, 7):
        (tmp_path / "results.csv.journal").write_bytes(data[:length])
        write(tmp_path / "results.csv", resume=True)
        assert (tmp_path / "results.csv").read_bytes() == (
            tmp_path / "whole" / "results.csv"
        ).read_bytes()
        (tmp_path / "results.csv").unlink()


def test_existing_output_is_not_overwritten_without_force(target: Path) -> None:
    target.write_text("precious")
    for how in ({}, {"resume": True}):
        with pytest.raises(OutputError, match=r"exists already.*--force"):
            write(target, **how)
        assert target.read_text() == "precious"
        assert list(target.parent.iterdir()) == [target]
    write(target, force=True, stop=2)
    assert target.read_text() == "precious"
    with pytest.raises(OutputError, match=r"--resume.*--force"):
        write(target)
    write(target, resume=True)
    assert target.read_text() != "precious"


def test_output_next_to_a_journal_without_records_is_not_overwritten(target: Path) -> None:
    write(target)
    before = target.read_bytes()
    (target.parent / "results.csv.journal").touch()
    with pytest.raises(OutputError, match="exists already"):
        write(target)
    assert target.read_bytes() == before


def test_a_crash_between_writing_the_rows_and_removing_the_journal_loses_nothing(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("zipocr.storage.journal.Journal.remove", lambda _: None)
        write(target)
    before = target.read_bytes()
    with pytest.raises(OutputError, match="--resume"):
        write(target)
    assert write(target, resume=True) == OUTCOMES
    assert target.read_bytes() == before


@pytest.mark.posix
def test_a_link_stays_a_link_and_its_journal_is_kept_next_to_the_target(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    target, link = tmp_path / "disk" / "rows.csv", tmp_path / "results.csv"
    link.symlink_to(target)
    write(link, stop=1)
    assert (tmp_path / "disk" / "rows.csv.journal").exists()
    write(link, resume=True)
    assert link.is_symlink()
    assert len(list(read_results(target))) == sum(len(one.rows) for one in OUTCOMES)


@pytest.mark.parametrize("target", ["-", os.devnull])
def test_output_to_a_stream_or_device_has_no_journal(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with open_output(target, IDENTITY) as output:
        so_far = output.survey(FILES)
        so_far.positions[0] = output.write(OUTCOMES[0], read=0, stamp="")
        output.complete(so_far.positions, FACTS)
        assert (so_far.finished, list(output.outcomes(so_far.kept()))) == (0, [])
    assert list(tmp_path.iterdir()) == []
    assert not Path(os.devnull + ".json").exists()


def test_a_complete_output_is_recognized_by_its_json_file(target: Path) -> None:
    assert completed(str(target), IDENTITY, FILES) is None
    write(target, stop=2)
    assert completed(str(target), IDENTITY, FILES) is None
    write(target, resume=True)
    assert completed(str(target), IDENTITY, FILES) == FACTS["counts"]
    with pytest.raises(OutputError, match="options max_pixels was 100 and is 99"):
        completed(str(target), {**IDENTITY, "options": {"max_pixels": 99}}, FILES)
    target.write_bytes(target.read_bytes() + b"x")
    assert completed(str(target), IDENTITY, FILES) is None


def test_provenance_is_written_next_to_the_rows(target: Path) -> None:
    identity = identify("scan", SETTINGS, {"timeout": None}, {"count": 6})
    write(target, identity=identity, stop=2)
    write(target, identity=identity, resume=True)
    provenance = json.loads((target.parent / "results.csv.json").read_text())
    assert provenance["zipocr"] == __version__
    model = Path(fakes.__file__).parents[1] / "zipocr" / "models" / "digits.npz"
    assert provenance["model"]["sha256"] == sha256(model.read_bytes()).hexdigest()
    assert provenance["results"]["sha256"] == sha256(target.read_bytes()).hexdigest()
    decisive = {"max_error": 0.01, "min_confidence": 0.5, "use_directory": True}
    decisive |= {"require_listed": False, "max_pixels": 10_000, "timeout": None}
    assert (provenance["options"], provenance["directory"]) == (decisive, None)
    assert provenance["counts"] == {"read": 9}
    assert provenance["begun"] <= provenance["ended"]
    assert provenance["inputs"] == {"count": 6}
    assert provenance["inputs_finished_before_the_last_resume"] == 2
    assert {"numpy", "opencv", "Pillow"} <= provenance["libraries"].keys()


def test_every_setting_that_affects_rows_is_part_of_the_run_identity(tmp_path: Path) -> None:
    places = {
        "02108": Place(city="Boston", state="MA"),
        "10001": Place(city="New York", state="NY"),
    }
    others: dict[str, Any] = {
        "model": "mail",
        "max_error": 0.02,
        "min_confidence": None,
        "use_directory": False,
        "directory": places,
        "max_pixels": 99,
        "require_listed": True,
    }
    apart = {"debug", "patience"}
    assert {field.name for field in fields(BatchSettings)} - apart == others.keys()
    own = identify("scan", SETTINGS, {}, {})
    for name, value in others.items():
        assert identify("scan", replace(SETTINGS, **{name: value}), {}, {}) != own
    assert identify("scan", replace(SETTINGS, debug=tmp_path, patience=1.0), {}, {}) == own
    (tmp_path / "copy.npz").write_bytes(
        (Path(fakes.__file__).parents[1] / "zipocr" / "models" / "digits.npz").read_bytes()
    )
    assert identify("scan", replace(SETTINGS, model=str(tmp_path / "copy.npz")), {}, {}) == own
    assert identify("scan", SETTINGS, {"timeout": 1}, {}) != own


def test_a_list_of_zips_is_identified_by_its_contents_and_not_its_order() -> None:
    boston, york = ("02108", Place(city="Boston", state="MA")), ("10001", Place(city="", state=""))
    lists = [
        dict([boston, york]),
        dict([boston]),
        dict([york]),
        dict([("02109", boston[1]), york]),
        dict([("02108", york[1]), york]),
        {},
    ]
    known = [
        identify("scan", replace(SETTINGS, directory=one), {}, {})["directory"] for one in lists
    ]
    assert len({one["sha256"] for one in known}) == len(lists)
    assert [one["count"] for one in known] == [2, 1, 1, 2, 2, 0]
    assert (
        identify("scan", replace(SETTINGS, directory=dict([york, boston])), {}, {})["directory"]
        == known[0]
    )


def test_extras_that_open_files_are_part_of_the_run_identity(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    libraries = identify("scan", SETTINGS, {}, {})["libraries"]
    assert libraries["pypdfium2"]
    assert libraries["pillow-heif"]
    monkeypatch.setattr("zipocr.output.run.LIBRARIES", ("numpy", "a-library-that-nobody-has"))
    assert identify("scan", SETTINGS, {}, {})["libraries"]["a-library-that-nobody-has"] is None


def test_differences_from_another_process_are_reported() -> None:
    own = identify_process("digits")
    assert describe_mismatch("digits", own) == ""
    libraries = {**own["libraries"], "numpy": "0.1"}
    other = describe_mismatch("mail", {**own, "zipocr": "0.0.1", "libraries": libraries})
    assert other.startswith(f"zipocr was 0.0.1 and is {__version__}; model sha256 was ")
    assert other.endswith(f"; libraries numpy was 0.1 and is {own['libraries']['numpy']}")


def test_the_kind_of_processor_is_part_of_the_run_identity() -> None:
    kernel = identify_process("digits")["libraries"]["blas_kernel"]
    other = "Nehalem" if kernel != "Nehalem" else "Prescott"
    if not kernel or platform.machine() != "x86_64":
        pytest.skip("needs a linear algebra that chooses kernels of x86-64")
    program = (
        "from zipocr.output.run import *; print(describe_mismatch('digits', "
        f"{identify_process('digits')}))"
    )
    env = {**os.environ, "OPENBLAS_CORETYPE": other}
    words = [sys.executable, "-c", program]
    done = subprocess.run(words, check=True, capture_output=True, text=True, env=env)
    assert done.stdout == f"libraries blas_kernel was {kernel} and is {other}\n"


@pytest.mark.parametrize("others_first", [False, True])
def test_blas_libraries_of_other_packages_are_ignored(
    monkeypatch: pytest.MonkeyPatch, others_first: bool
) -> None:
    site = Path(np.__file__).parents[1]
    libraries = [
        {"filepath": str(site / "numpy.libs" / "libopenblas.so"), "architecture": "Haswell"},
        {"filepath": str(site / "scipy.libs" / "libopenblas.so"), "architecture": "Zen"},
        {"filepath": str(site / "scikit_learn.libs" / "libgomp.so")},
    ]
    found = libraries[::-1] if others_first else libraries
    monkeypatch.setattr("threadpoolctl.threadpool_info", lambda: found)
    assert identify_process("digits")["libraries"]["blas_kernel"] == "Haswell"


def test_a_list_of_inputs_is_identified_by_paths_names_and_order() -> None:
    files = [ImageFile(place=name, name=name) for name in ("a.png", "b\udcff.png")]
    lists = [
        files,
        files[::-1],
        files[:1],
        [replace(files[0], name="c.png"), files[1]],
        [replace(files[0], place="x/a.png"), files[1]],
    ]
    assert len({list_digest(one)["sha256"] for one in lists}) == len(lists)
    assert list_digest(files) == list_digest(
        [replace(file, place=str(Path.cwd() / file.place)) for file in files]
    )


FOREIGN = {"read": 0, "stamp": "", "rows": "", "failures": []}


@pytest.mark.parametrize(
    "record",
    [
        {},
        {**FOREIGN, "rows": "a,b\n"},
        {**FOREIGN, "rows": '"'},
        {**FOREIGN, "failures": None},
        {**FOREIGN, "read": 9},
        {**FOREIGN, "read": "0"},
    ],
)
def test_a_journal_with_foreign_records_is_an_output_error(
    target: Path, record: dict[str, object]
) -> None:
    with open_output(str(target), IDENTITY) as output:
        assert isinstance(output, FileOutput)
        output._journal.append(record)
        with pytest.raises(OutputError, match="foreign contents"):
            list(output.outcomes(output.survey(FILES).kept()))


@pytest.mark.posix
def test_a_foreign_file_next_to_the_output_is_not_replaced(tmp_path: Path) -> None:
    facts = tmp_path / "results.csv.json"
    secret = tmp_path / "secret"
    secret.write_text("{}")
    for make in (
        lambda: facts.write_text("mine"),
        lambda: facts.symlink_to(secret),
        lambda: facts.symlink_to(tmp_path / "nowhere"),
    ):
        facts.unlink(missing_ok=True)
        make()
        with pytest.raises(
            OutputError, match=r"results\.csv\.json exists already. Replace it with --force"
        ):
            write(tmp_path / "results.csv")
        assert not (tmp_path / "results.csv").exists()
    assert (secret.read_text(), (tmp_path / "nowhere").exists()) == ("{}", False)
    facts.unlink()
    facts.write_text("mine")
    write(tmp_path / "results.csv", force=True)
    assert json.loads(facts.read_text())["zipocr"]


def test_the_json_file_of_removed_results_may_be_replaced(tmp_path: Path) -> None:
    write(tmp_path / "results.csv")
    (tmp_path / "results.csv").unlink()
    write(tmp_path / "results.csv")
    assert (tmp_path / "results.csv").exists()


@pytest.mark.parametrize("name", ["results.csv", "results.csv.json"])
def test_a_file_that_appears_during_the_run_is_not_replaced(tmp_path: Path, name: str) -> None:
    with open_output(str(tmp_path / "results.csv"), IDENTITY) as output:
        kept = keep(output, 1)
        (tmp_path / name).write_text("mine")
        with pytest.raises(OutputError, match="was created or changed") as refused:
            output.complete(kept, {})
    assert name in str(refused.value)
    assert (tmp_path / name).read_text() == "mine"
    (tmp_path / name).unlink()
    with open_output(str(tmp_path / "results.csv"), IDENTITY, resume=True) as output:
        output.complete(kept, {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results.csv", "results.csv.json"]


def test_a_file_that_appears_during_the_run_is_replaced_with_force(tmp_path: Path) -> None:
    with open_output(str(tmp_path / "results.csv"), IDENTITY, force=True) as output:
        kept = keep(output, 1)
        (tmp_path / "results.csv").write_text("mine")
        output.complete(kept, {})
    assert (tmp_path / "results.csv").read_text() != "mine"


def test_an_output_replaces_only_what_it_wrote_itself(tmp_path: Path) -> None:
    with open_output(str(tmp_path / "results.csv"), IDENTITY) as output:
        assert isinstance(output, FileOutput)
        for number in (1, 2):
            output.publish(keep(output, number), {})
        (tmp_path / "results.csv").write_text("mine")
        with pytest.raises(OutputError, match="created or changed"):
            output.publish([], {})
    assert (tmp_path / "results.csv").read_text() == "mine"


def test_a_journal_removed_during_the_run_loses_nothing_and_promises_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_output(str(tmp_path / "results.csv"), IDENTITY) as output:
        kept = keep(output, 1, 2)
        (tmp_path / "results.csv.journal").unlink()
        with monkeypatch.context() as patch:
            patch.setattr("zipocr.storage.journal.os.pread", read_error)
            with pytest.raises(OutputError, match="It was removed while the run went on"):
                output.complete(kept, {})
        output.complete(kept, {})
    assert (tmp_path / "results.csv").read_text().count("\n") == 1 + 2 + 3


def read_error(*_: object) -> bytes:
    raise OSError(errno.EIO, "Input/output error")


def test_the_journal_of_another_run_is_not_removed(tmp_path: Path) -> None:
    with open_output(str(tmp_path / "results.csv"), IDENTITY) as output:
        kept = keep(output, 1)
        (tmp_path / "results.csv.journal").unlink()
        (tmp_path / "results.csv.journal").write_text("of another run")
        output.complete(kept, {})
    assert (tmp_path / "results.csv.journal").read_text() == "of another run"


@pytest.mark.parametrize(
    ("name", "message"), [("x.txt", "has no known ending"), ("x", "has no known ending")]
)
def test_an_output_of_unknown_format_is_refused_before_anything_is_read(
    tmp_path: Path, name: str, message: str
) -> None:
    with pytest.raises(OutputError, match=message), open_output(str(tmp_path / name), IDENTITY):
        pytest.fail("it was opened")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_reported_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zipocr.results.formats.find_spec", lambda _: None)
    target = str(tmp_path / "x.parquet")
    with pytest.raises(OutputError, match="pip install"), open_output(target, IDENTITY):
        pytest.fail("it was opened")
