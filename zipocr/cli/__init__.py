"""The command line.

The only room that knows click. Commands import what they work with inside their functions: help
stays quick.
"""

from importlib import import_module
from typing import Any

import click

from zipocr import __version__
from zipocr.cli.terminal import printable_lines, say
from zipocr.errors import ExitCode, ZipocrError

COMMANDS = {
    "scan": "zipocr.cli.scan:scan",
    "merge": "zipocr.cli.merge:merge",
    "watch": "zipocr.cli.watch:watch",
    "review": "zipocr.cli.review:review",
    "evaluate": "zipocr.cli.evaluate:evaluate",
    "apply": "zipocr.cli.apply:apply",
    "sort": "zipocr.cli.sort:sort",
    "inspect": "zipocr.cli.inspect:inspect",
    "model": "zipocr.cli.model:model",
    "train": "zipocr.cli.train:train",
}


class CommandGroup(click.Group):
    """A group that imports a command when it is asked for, and the one place where errors become messages and exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Name the commands, the main one first."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command = getattr(import_module(module), name)
        if not isinstance(command, click.Command):
            message = f"{COMMANDS[cmd_name]} is no command"
            raise TypeError(message)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command.

        Trouble the user can cure ends with one line on standard error, an interruption with 130.
        """
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            error.message = printable_lines(error.message)  # type: ignore[misc]  # it quotes names
            raise
        except ZipocrError as error:
            say(f"zipocr: {error}")
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            say("zipocr: interrupted")
            ctx.exit(ExitCode.INTERRUPTED)
        except BrokenPipeError:
            from zipocr.results.csv_file import abandon_stdout

            # Whoever read standard output has seen enough. Python would complain about it once more
            # on its way out.
            abandon_stdout()
            ctx.exit(ExitCode.DONE)


@click.command(cls=CommandGroup)
@click.version_option(__version__, prog_name="zipocr")
def main() -> None:
    """Read ZIP codes from scanned envelope crops."""
