"""The command ``zipocr manual``."""

import sys
from difflib import get_close_matches
from importlib import resources
from importlib.resources.abc import Traversable

import click

from zipocr.cli.terminal import show


@click.command()
@click.argument("topic", required=False)
def manual(topic: str | None) -> None:
    """Show a chapter of the manual, or list the chapters.

    On a terminal a chapter is formatted and shown in a pager; elsewhere it is plain Markdown.
    """
    if topic is None:
        width = max(map(len, topics()))
        for name, title in topics().items():
            show(f"{name:{width}}  {title}")
    elif sys.stdout.isatty():
        _page(_text(topic))
    else:
        show(_text(topic).rstrip("\n"))


def topics() -> dict[str, str]:
    """List the chapters and their titles."""
    return {
        file.name.removesuffix(".md"): file.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
        for file in sorted(_files(), key=lambda file: file.name)
    }


def _files() -> list[Traversable]:
    folder = resources.files("zipocr") / "manual"
    return [file for file in folder.iterdir() if file.name.endswith(".md")]


def _text(topic: str) -> str:
    for file in _files():
        if file.name == f"{topic}.md":
            return file.read_text(encoding="utf-8")
    near = get_close_matches(topic, topics(), n=1)
    meant = f" Did you mean {near[0]}?" if near else " 'zipocr manual' lists them."
    raise click.BadParameter(f"There is no chapter {topic!r}.{meant}", param_hint="TOPIC")


def _page(text: str) -> None:
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console()
    with console.pager(styles=True):
        console.print(Markdown(text))
