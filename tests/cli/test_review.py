import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import fields
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from reviewing import DEADLINE, ROOT, row, serving, unread, write_page, write_results

from zipocr.cli import main
from zipocr.cli.review import review, usable_model
from zipocr.config import ReviewConfig
from zipocr.errors import ExitCode, ModelError
from zipocr.results.corrections import open_corrections
from zipocr.types import Status

QUICK = 20.0
"""Seconds; generous, since not every machine is idle."""


@pytest.fixture
def results(tmp_path: Path) -> Path:
    write_page(tmp_path / "a.png")
    return write_results(
        tmp_path / "r.csv",
        [row("a.png"), unread("missing.png"), row("b.png", confidence=1.0, status=Status.READ)],
    )


def run(*words: str | Path) -> click.testing.Result:
    return CliRunner().invoke(main, ["review", *map(str, words)], catch_exceptions=False)


def test_options_and_settings_have_the_same_names_and_defaults() -> None:
    options = {
        option.name: option.default for option in review.params if isinstance(option, click.Option)
    }
    assert options == {field.name: field.default for field in fields(ReviewConfig)}


def test_every_option_reaches_the_settings(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, ReviewConfig]] = []
    monkeypatch.setattr(
        "zipocr.cli.review._serve", lambda _, items, __, config: seen.append((len(items), config))
    )
    given = ReviewConfig(
        labels_out=tmp_path / "c.csv",
        port=8123,
        no_browser=True,
        audit=1,
        seed=5,
        images=tmp_path,
        model="digits",
    )
    assert all(getattr(given, field.name) != field.default for field in fields(ReviewConfig))
    words = [
        "--labels-out",
        given.labels_out,
        "--port",
        "8123",
        "--no-browser",
        "--audit",
        "1",
        "--seed",
        "5",
        "--images",
        tmp_path,
    ]
    assert run(results, *words, "--model", "digits").exit_code == 0
    assert seen == [(3, given)]


def test_if_everything_was_read_there_is_nothing_to_review(tmp_path: Path) -> None:
    results = write_results(tmp_path / "r.csv", [row(confidence=1.0, status=Status.READ)])
    done = run(results, "--labels-out", tmp_path / "c.csv")
    assert done.exit_code == 0
    assert "nothing to review" in done.stderr
    assert not (tmp_path / "c.csv").exists()


def test_a_labels_file_in_use_by_another_review_is_refused(results: Path, tmp_path: Path) -> None:
    with serving(results, tmp_path / "c.csv"):
        done = run(results, "--labels-out", tmp_path / "c.csv", "--no-browser")
    assert done.exit_code == ExitCode.OUTPUT
    assert "Another review is writing" in done.stderr


def test_results_are_refused_as_the_labels_file(results: Path) -> None:
    before = results.read_bytes()
    done = run(results, "--labels-out", results)
    assert done.exit_code == ExitCode.INPUT
    assert results.read_bytes() == before


def test_a_port_in_use_is_a_usage_error(results: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run(
            results,
            "--labels-out",
            tmp_path / "c.csv",
            "--no-browser",
            "--port",
            str(taken.getsockname()[1]),
        )
    assert done.exit_code == ExitCode.USAGE
    assert "in use" in done.stderr


def test_a_requested_model_must_exist_but_the_recorded_one_need_not(tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        usable_model(str(tmp_path / "missing.npz"), "mail")
    assert usable_model("digits", "mail") == "digits"
    assert usable_model(None, "digits") == "digits"
    assert usable_model(None, str(tmp_path / "missing.npz")) == "mail"


def test_it_starts_quickly_and_ends_with_a_summary_and_the_next_step(
    results: Path, tmp_path: Path
) -> None:
    labels = tmp_path / "my labels.csv"
    with serving(results, labels) as server:
        took = time.monotonic() - server.began
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        browser.open(server.address, timeout=DEADLINE).close()
        with browser.open(f"{server.address}state", timeout=DEADLINE) as answer:
            assert b"missing.png" in answer.read()
        said = server.end()
        assert server.process.returncode == 0
    print(f"the address was there after {took:.2f} s")  # noqa: T201
    assert took < QUICK
    assert "decided 0 of 2" in said
    assert f"next: zipocr apply {results} '{labels}' -o final.csv" in said
    with open_corrections(labels) as corrections:
        assert corrections.last == {}


def test_it_exits_cleanly_on_sigterm(results: Path, tmp_path: Path) -> None:
    with serving(results, tmp_path / "c.csv") as server:
        server.process.send_signal(signal.SIGTERM)
        _, said = server.process.communicate(timeout=DEADLINE)
    assert server.process.returncode == 128 + signal.SIGTERM
    assert b"decided 0 of 2" in said


def test_nothing_heavy_is_imported_before_the_server_starts(results: Path, tmp_path: Path) -> None:
    program = f"""
import sys
import zipocr.cli.review
def stop(self):
    print(*sorted({{"cv2", "PIL", "sklearn", "scipy", "rich"}} & set(sys.modules)))
    raise KeyboardInterrupt
from werkzeug.serving import BaseWSGIServer
BaseWSGIServer.serve_forever = stop
from zipocr.review.preview import PreviewLoader
PreviewLoader.warm_up = lambda self: None
from zipocr.cli import main
main(["review", {str(results)!r}, "--labels-out", {str(tmp_path / "c.csv")!r}, "--no-browser"])
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout.strip() == ""


def test_without_its_package_it_says_how_to_install_it(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "flask", None)
    done = run(results)
    assert done.exit_code == ExitCode.USAGE
    assert "zipocr[review]" in done.stderr


def test_the_browser_is_opened_at_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    from zipocr.cli.review import open_browser

    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    open_browser("http://127.0.0.1:1/x/")
    until = time.monotonic() + DEADLINE
    while not opened and time.monotonic() < until:
        time.sleep(0.01)
    assert opened == ["http://127.0.0.1:1/x/"]
