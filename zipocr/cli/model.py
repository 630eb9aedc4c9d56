"""``zipocr model``: show a model card."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from textwrap import fill
from typing import TYPE_CHECKING

import click

from zipocr.cli.terminal import show
from zipocr.errors import printable

if TYPE_CHECKING:
    from zipocr.types import Model

WIDTH = 100


@click.command()
@click.argument("name", default="mail", metavar="[NAME|PATH]")
def model(name: str) -> None:
    """Print a model card: what a model was made from, how, and how well it reads.

    NAME is one of the shipped models, digits or mail (the default); PATH is a model file.
    """
    from zipocr.models.model_file import DIGEST, load_model, model_digest

    found = load_model(name)
    show(f"model: {name}")
    card = {key: value for key, value in found.card.items() if key != DIGEST}
    about = {
        "sha256 of the file": model_digest(name),
        "sha256 of the contents": found.card.get(DIGEST, ""),
        "confidence for --max-error": acceptance_table(found),
    }
    for line in card_lines({**card, **about}):
        show(line)


def acceptance_table(model: Model) -> dict[str, list[str]]:
    """List the confidence threshold for each promised error rate."""
    ways = {"with a directory": "acceptance_listed", "without": "acceptance_unlisted"}
    return {
        way: [f"{error:g} from {least:.4f}" for error, least in model.arrays[name].tolist()]
        or ["none"]
        for way, name in ways.items()
    }


def card_lines(card: Mapping[str, object], *, indent: str = "") -> Iterator[str]:
    """Format nested values as indented lines of at most `WIDTH` characters.

    Parameters
    ----------
    card : mapping
        JSON values.
    indent : str
        Prefix of each line.

    Yields
    ------
    str
        A line, or several joined if a value is long; printable except for line ends.
    """
    for key, value in card.items():
        if isinstance(value, Mapping):
            yield f"{indent}{printable(key)}:"
            yield from card_lines(value, indent=indent + "  ")
        else:
            values = value if isinstance(value, list | tuple) else [value]
            text = ", ".join(printable(str(one)) for one in values)
            yield fill(
                f"{printable(key)}: {text}",
                WIDTH,
                initial_indent=indent,
                subsequent_indent=indent + "  ",
            )
