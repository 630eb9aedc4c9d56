"""Figures of the manual: measured by make targets, stored as JSON, and inserted into chapters.

A chapter has a placeholder for each section, from ``<!-- name -->`` to ``<!-- end -->``.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from zipocr.storage.atomic import write_whole

# A paragraph, or the rows of a table, header first.
Block = str | list[list[str]]

RECORD = Path("zipocr", "manual", "figures.json")
_PLACE = r"(<!-- {} -->\n).*?(<!-- end -->)"


def record(root: Path, sections: Mapping[str, Iterable[str]]) -> None:
    """Store sections, lines of Markdown, as JSON, and insert them into the chapters.

    Parameters
    ----------
    root : Path
        A checkout of the project.
    sections : mapping of str to lines
        Other sections stay as they are.
    """
    figures = load(root) | {name: to_blocks(lines) for name, lines in sections.items()}
    text = json.dumps(figures, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    write_whole(root / RECORD, text.encode())
    for path in documents(root):
        old = path.read_text(encoding="utf-8")
        if (new := renewed(old, figures)) != old:
            write_whole(path, new.encode())


def load(root: Path) -> dict[str, list[Block]]:
    """Read the stored figures."""
    path = root / RECORD
    found: dict[str, list[Block]] = json.loads(path.read_bytes()) if path.exists() else {}
    return found


def documents(root: Path) -> list[Path]:
    """List the README and the chapters of the manual."""
    return [root / "README.md", *sorted((root / RECORD).parent.glob("*.md"))]


def renewed(text: str, figures: Mapping[str, Sequence[Block]]) -> str:
    """Insert all figures into their placeholders in a text."""
    for name, blocks in figures.items():
        text = put(text, name, render(blocks))
    return text


def put(text: str, name: str, lines: Iterable[str]) -> str:
    """Insert lines into the placeholder of a section."""
    content = "\n".join(lines) + "\n"
    pattern = _PLACE.format(re.escape(name))
    return re.sub(pattern, lambda place: place[1] + content + place[2], text, flags=re.DOTALL)


def to_blocks(lines: Iterable[str]) -> list[Block]:
    """Parse Markdown into blocks: tables become rows, without the line under the header."""
    blocks: list[Block] = []
    for line in lines:
        if not line.startswith("|"):
            blocks.append(line)
        elif not line.startswith("|---"):
            if not blocks or isinstance(blocks[-1], str):
                blocks.append([])
            cells = line.removeprefix("| ").removesuffix(" |").split(" | ")
            blocks[-1].append(cells)  # type: ignore[union-attr]
    return blocks


def render(blocks: Iterable[Block]) -> list[str]:
    """Format blocks as lines of Markdown."""
    lines: list[str] = []
    for block in blocks:
        lines += [block] if isinstance(block, str) else markdown(block[0], block[1:])
    return lines


def markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Format a table in Markdown."""
    return [
        f"| {' | '.join(row)} |" if row else "|---" * len(heads) + "|" for row in (heads, (), *rows)
    ]
