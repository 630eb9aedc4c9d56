import os
import re
import subprocess
import sys
from pathlib import Path

import manual
import pytest
from click.testing import CliRunner

from zipocr.cli import COMMANDS, main
from zipocr.cli.manual import topics

EMPTY_PLACES = "".join(
    f"Text.\n\n{manual.mark(command)}\n<!-- end -->\n" for command in (None, *COMMANDS)
)


def test_an_updated_chapter_is_correct_and_keeps_its_text() -> None:
    text = manual.renewed(EMPTY_PLACES)
    assert manual.problems(text) == []
    assert manual.renewed(text) == text
    assert text.count("Text.\n") == len(COMMANDS) + 1
    assert "$ zipocr scan --help\nUsage: zipocr scan [OPTIONS] PATH...\n" in text


def test_a_changed_help_text_is_detected() -> None:
    text = manual.renewed(EMPTY_PLACES).replace("--resume", "--go-on")
    assert manual.problems(text) == ["<!-- help: scan --> has changed"]


def test_missing_and_unknown_help_sections_are_detected() -> None:
    text = manual.renewed(EMPTY_PLACES).replace("<!-- help: model -->", "<!-- help: modell -->")
    assert manual.problems(text) == [
        "<!-- help: model --> is missing",
        "<!-- help: modell --> is of no command",
    ]


ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "zipocr" / "manual").glob("*.md"))]
BLOCKS = [
    pytest.param(block, id=f"{path.name} {number}")
    for path in DOCUMENTS
    for number, block in enumerate(
        re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)
    )
]


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 250


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_points_to_a_file(path: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
        assert link.startswith("https://") or (path.parent / link).exists(), link


@pytest.mark.real
@pytest.mark.parametrize("block", BLOCKS)
def test_every_python_block_runs(block: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    exec(compile(block, "manual", "exec"), {"__name__": "__main__"})


def test_the_readme_names_every_chapter() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [topic for topic in topics() if f"zipocr/manual/{topic}.md" not in text] == []


def test_every_promise_names_tests_that_exist() -> None:
    text = (ROOT / "zipocr" / "manual" / "reliability.md").read_text(encoding="utf-8")
    promises = re.findall(r"^\| .* \| (`test_.*) \|$", text, re.MULTILINE)
    assert promises
    tests = "\n".join(path.read_text(encoding="utf-8") for path in ROOT.glob("tests/**/test_*.py"))
    named = {name for promise in promises for name in re.findall(r"`(test_[a-z0-9_]+)`", promise)}
    assert [name for name in sorted(named) if f"def {name}(" not in tests] == []


def test_the_manual_lists_its_chapters_and_shows_each() -> None:
    listed = CliRunner().invoke(main, ["manual"]).stdout
    for topic, title in topics().items():
        assert re.search(rf"^{topic} +{re.escape(title)}$", listed, re.MULTILINE)
        shown = CliRunner().invoke(main, ["manual", topic]).stdout
        assert shown == (ROOT / "zipocr" / "manual" / f"{topic}.md").read_text(encoding="utf-8")


def test_a_mistyped_chapter_is_refused_with_a_suggestion() -> None:
    result = CliRunner().invoke(main, ["manual", "scaning"])
    assert result.exit_code == 2
    assert "scanning" in result.stderr


def test_every_command_in_the_readme_exists() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert {*re.findall(r"^\$ zipocr ([a-z]+)", text, re.MULTILINE)} <= {*COMMANDS}


def test_every_python_block_type_checks(tmp_path: Path) -> None:
    for number, block in enumerate(BLOCKS):
        (tmp_path / f"block{number}.py").write_text(str(block.values[0]), encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", *map(str, tmp_path.glob("*.py"))]
    env = {**os.environ, "MYPYPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env, cwd=ROOT)
    assert done.returncode == 0, done.stdout
