"""The command line.

Only this package imports click. Commands import what they need inside their functions, so that help
is fast.
"""

from importlib import import_module
from pathlib import Path
from typing import Any

import click

from zipocr import __version__
from zipocr.cli.config_file import PREFIX, ConfigFile, defaults_of, read_config
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
    "manual": "zipocr.cli.manual:manual",
}


class CommandGroup(click.Group):
    """A group that imports commands on demand and turns errors into messages and exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """List the names of the commands, the main one first."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command = getattr(import_module(module), name)
        if not isinstance(command, click.Command):
            message = f"{COMMANDS[cmd_name]} is not a command"
            raise TypeError(message)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, and take its defaults from the config file.

        For a mistyped command the error suggests the closest one.
        """
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            _refuse_unknown(ctx, args[0])
        name, command, rest = super().resolve_command(ctx, args)
        if isinstance(ctx.obj, ConfigFile) and name and command:
            ctx.default_map = {name: defaults_of(ctx.obj, name, command, COMMANDS)}
        return name, command, rest

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands, each with its complete summary."""
        commands = [(name, self.get_command(ctx, name)) for name in COMMANDS]
        with formatter.section("Commands"):
            formatter.write_dl(
                [
                    (name, command.get_short_help_str(limit=200))
                    for name, command in commands
                    if command
                ]
            )

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command.

        An error that the user can fix ends with one line on standard error, an interruption with
        exit status 130.
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
            from zipocr.results.sinks import abandon_stdout

            # The reader of standard output has gone away, as head does. Python would report it
            # again at exit.
            abandon_stdout()
            ctx.exit(ExitCode.DONE)


def _refuse_unknown(ctx: click.Context, name: str) -> None:
    from difflib import get_close_matches

    near = get_close_matches(name, COMMANDS, n=1)
    meant = f" Did you mean {near[0]}?" if near else " 'zipocr -h' lists the commands."
    ctx.fail(f"No such command {printable_lines(name)!r}.{meant}")


def _take_config(ctx: click.Context, _: click.Parameter, path: Path | None) -> None:
    """Read the config file before the command is resolved, which needs its table."""
    ctx.obj = read_config(path)


@click.command(
    cls=CommandGroup,
    context_settings={"auto_envvar_prefix": PREFIX, "help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="zipocr")
@click.option(
    "--config",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    callback=_take_config,
    expose_value=False,
    help="TOML file with options, one table per command. [default: ./zipocr.toml, if there is one]",
)
def main() -> None:
    """Read ZIP codes from scanned envelopes and crops."""
