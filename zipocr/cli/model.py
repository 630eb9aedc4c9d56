"""``zipocr model``: what a model was made from."""

from collections.abc import Iterator, Mapping
from textwrap import fill

import click

WIDTH = 100


@click.command()
@click.argument("name", default="mail", metavar="[NAME|PATH]")
def model(name: str) -> None:
    """Print the passport of a model: what it was made from, how, and how well it reads.

    NAME is one of the shipped models, digits or mail (the default); PATH is a model file.
    """
    from zipocr.model_file import load_model

    click.echo(f"model: {name}")
    for line in passport_lines(load_model(name).passport):
        click.echo(line)


def passport_lines(passport: Mapping[str, object], *, indent: str = "") -> Iterator[str]:
    """Lay out nested values as indented lines of at most `WIDTH` characters.

    Parameters
    ----------
    passport : mapping
        JSON values.
    indent : str
        What stands before each line.

    Yields
    ------
    str
        A line, or several joined where a value is long. What a terminal might obey is shown as ``?``.
    """
    for key, value in passport.items():
        if isinstance(value, Mapping):
            yield f"{indent}{_printable(key)}:"
            yield from passport_lines(value, indent=indent + "  ")
        else:
            text = ", ".join(map(_printable, value)) if isinstance(value, list | tuple) else _printable(value)
            yield fill(f"{_printable(key)}: {text}", WIDTH, initial_indent=indent, subsequent_indent=indent + "  ")


def _printable(value: object) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in str(value))
