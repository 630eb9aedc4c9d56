"""Keep the manual's help texts current: ``python tests/manual.py`` checks, ``--fix`` updates them.

Between ``<!-- help: scan -->`` and ``<!-- end -->`` is the output of ``zipocr scan --help``;
``<!-- help: -->`` has the help of zipocr itself. Every command must have such a section.
"""

import re
import sys
from pathlib import Path

from click.testing import CliRunner

from zipocr.cli import COMMANDS, main

CHAPTER = Path(__file__).parents[1] / "zipocr" / "manual" / "commands.md"
PLACE = re.compile(r"(<!-- help: (?:(?P<command>[a-z]+) )?-->\n).*?(<!-- end -->)", re.DOTALL)
WIDTH = 100


def help_text(command: str | None) -> str:
    """Return a command's help for a terminal of `WIDTH` columns, as a fenced block.

    None is zipocr itself.
    """
    arguments = [command, "--help"] if command else ["--help"]
    result = CliRunner().invoke(
        main, arguments, prog_name="zipocr", terminal_width=WIDTH, catch_exceptions=False
    )
    return f"```console\n$ zipocr {' '.join(arguments)}\n{result.output.rstrip()}\n```\n"


def renewed(text: str) -> str:
    """Replace the help texts of a chapter with the current ones."""
    return PLACE.sub(lambda place: place[1] + help_text(place["command"]) + place[3], text)


def problems(text: str) -> list[str]:
    """List what is wrong in a chapter."""
    places = {mark(place["command"]): place[0] for place in PLACE.finditer(text)}
    wanted = {mark(command) for command in (None, *COMMANDS)}
    missing = [f"{place} is missing" for place in sorted(wanted - places.keys())]
    unknown = [f"{place} is of no command" for place in sorted(places.keys() - wanted)]
    stale = [
        f"{place} has changed"
        for place in sorted(places.keys() & wanted)
        if renewed(places[place]) != places[place]
    ]
    return missing + unknown + stale


def mark(command: str | None) -> str:
    """Return the mark at which a help text begins."""
    return f"<!-- help: {command} -->" if command else "<!-- help: -->"


if __name__ == "__main__":
    text = CHAPTER.read_text(encoding="utf-8")
    if "--fix" in sys.argv[1:]:
        text = renewed(text)
        CHAPTER.write_text(text, encoding="utf-8")
    found = problems(text)
    for problem in found:
        print(f"{CHAPTER.name}: {problem}; run python tests/manual.py --fix", file=sys.stderr)
    sys.exit(bool(found))
