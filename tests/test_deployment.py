"""The examples in the deployment chapter are valid."""

import json
import re
import subprocess
import sys
import tomllib
from configparser import ConfigParser
from pathlib import Path
from shlex import split

import click
import pytest

from zipocr.cli import COMMANDS, main
from zipocr.cli.config_file import ConfigFile, defaults_of

ROOT = Path(__file__).parents[1]
CHAPTER = (ROOT / "zipocr" / "manual" / "deployment.md").read_text(encoding="utf-8")
INSTRUCTIONS = {"FROM", "RUN", "COPY", "USER", "WORKDIR", "ENV", "ENTRYPOINT", "CMD"}


def block(kind: str) -> str:
    (found,) = re.findall(rf"^```{kind}\n(.*?)^```", CHAPTER, re.DOTALL | re.MULTILINE)
    return str(found)


def instructions() -> list[tuple[str, str]]:
    lines = [line for line in block("Dockerfile").splitlines() if line]
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines)]


def unit() -> ConfigParser:
    parser = ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(block("ini"))
    return parser


def parse(words: list[str]) -> None:
    """Parse words as a command line; unknown options raise an error."""
    name, *rest = words
    command = main.get_command(click.Context(main), name)
    assert command is not None
    command.make_parser(click.Context(command)).parse_args(rest)


def test_the_dockerfile_has_known_instructions_and_names_no_host() -> None:
    names = [name for name, _ in instructions()]
    assert names[0] == "FROM"
    assert set(names) <= INSTRUCTIONS
    (image,) = (rest for name, rest in instructions() if name == "FROM")
    assert re.fullmatch(r"[a-z]+:[a-z0-9.-]+", image)
    assert names.index("USER") < names.index("ENTRYPOINT")


def test_the_container_runs_an_existing_command_with_existing_extras() -> None:
    by_name = dict(instructions())
    entry, words = json.loads(by_name["ENTRYPOINT"]), json.loads(by_name["CMD"])
    assert entry == ["zipocr"]
    parse(words)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (extras,) = re.findall(r"whl\)\[([a-z0-9,]+)\]", block("Dockerfile"))
    assert set(extras.split(",")) <= set(project["project"]["optional-dependencies"])


def test_the_systemd_unit_runs_an_existing_command() -> None:
    program, config, _, *words = split(unit()["Service"]["ExecStart"])
    assert Path(program).name == "zipocr"
    assert config == "--config"
    parse(words)


@pytest.mark.system("systemd-analyze")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    (program,) = re.findall(r"^ExecStart=(\S+)", block("ini"), re.MULTILINE)
    path = tmp_path / "zipocr.service"
    path.write_text(block("ini").replace(program, sys.executable), encoding="utf-8")
    words = ["systemd-analyze", "verify", "--man=no", str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, [line for line in done.stderr.splitlines() if path.name in line]) == (
        0,
        [],
    )


def test_every_option_in_the_config_file_exists() -> None:
    tables = tomllib.loads(block("toml"))
    file = ConfigFile(path=Path("zipocr.toml"), tables=tables, is_named=False)
    for name in tables:
        command = main.get_command(click.Context(main), name)
        assert command is not None
        assert defaults_of(file, name, command, COMMANDS)
