"""Options from a file and from the environment, and where each one came from."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from zipocr.config import ScanConfig

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FILE = "zipocr.toml"
PREFIX = "ZIPOCR"
"""Prefix of environment variables for options, as in ZIPOCR_SCAN_JOBS."""

_ORIGINS = {
    ParameterSource.DEFAULT: "default",
    ParameterSource.DEFAULT_MAP: "file",
    ParameterSource.ENVIRONMENT: "environment",
    ParameterSource.COMMANDLINE: "command line",
}
"""The sources of an option's value, in increasing order of precedence."""
_RANKS = {source: rank for rank, source in enumerate(_ORIGINS)}
_RUNS_PROGRAMS = frozenset({"exec"})
"""Options that only a file named with --config may set, since a folder may come from anyone."""
_KINDS: Mapping[type, tuple[str, tuple[type, ...]]] = {
    click.types.BoolParamType: ("true or false", (bool,)),
    click.types.IntParamType: ("a whole number", (int,)),
    click.types.FloatParamType: ("a number", (int, float)),
}
_EXCLUSIVE = (
    ("max_error", "min_confidence"),
    ("directory", "no_directory"),
    ("require_listed", "no_directory"),
    ("resume", "force"),
    ("paths", "manifest"),
    ("paths", "out_dir"),
)
"""Mutually exclusive options; the one from the source of higher precedence wins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigFile:
    """Options from a file, by command; ``is_named`` if the user named the file."""

    path: Path
    tables: Mapping[str, Any]
    is_named: bool


def read_config(named: Path | None) -> ConfigFile | None:
    """Read the named file, or the one in the current folder; None if there is none."""
    path = named or Path(FILE)
    if named is None and not path.is_file():
        return None
    from zipocr.storage.untrusted import read_plain

    try:
        tables = tomllib.loads(read_plain(path).decode())
    except OSError as error:
        raise click.UsageError(f"Cannot read {path}: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"{path} is not TOML in UTF-8: {error}.") from error
    return ConfigFile(path=path, tables=tables, is_named=named is not None)


def defaults_of(
    file: ConfigFile, name: str, command: click.Command, commands: Iterable[str]
) -> dict[str, Any]:
    """Return a command's defaults from a file.

    Raises
    ------
    UsageError
        If it names an unknown command or option, or gives an option a value of the wrong type.
    """
    for other in file.tables:
        if other not in commands:
            raise click.UsageError(
                _unknown(f"{file.path}: [{other}]", other, commands, "a command")
            )
    table = file.tables.get(name, {})
    if not isinstance(table, dict):
        raise click.UsageError(f"{file.path}: {name} must be a table, [{name}].")
    options = {str(each.name): each for each in command.params if isinstance(each, click.Option)}
    return {
        option: _checked(file, name, options, option, value)
        for option, value in ((key.replace("-", "_"), value) for key, value in table.items())
    }


def _checked(
    file: ConfigFile, name: str, options: Mapping[str, click.Option], key: str, value: Any
) -> Any:
    where = f"{file.path}: {key.replace('_', '-')} in [{name}]"
    if key not in options:
        keys = [each.replace("_", "-") for each in options]
        raise click.UsageError(_unknown(where, key.replace("_", "-"), keys, f"an option of {name}"))
    if key in _RUNS_PROGRAMS and not file.is_named:
        raise click.UsageError(f"{where} runs a program. Name the file with --config to allow it.")
    kind, types = _kind_of(options[key])
    if type(value) not in types:
        raise click.UsageError(f"{where} must be {kind}, not {value!r:.60}.")
    try:
        options[key].type.convert(value, options[key], None)
    except click.BadParameter as error:
        raise click.UsageError(f"{where}: {error.message}") from error
    return value


def _kind_of(option: click.Option) -> tuple[str, tuple[type, ...]]:
    """Return the type of an option's value, in words and as TOML types."""
    found = (told for kind, told in _KINDS.items() if isinstance(option.type, kind))
    return next(found, ("text in quotes", (str,)))


def _unknown(where: str, name: str, known: Iterable[str], what: str) -> str:
    """Describe an unknown name, with the closest known one."""
    close = get_close_matches(name, list(known), n=1)
    cure = f"Did you mean {close[0]}?" if close else f"There are {', '.join(known)}."
    return f"{where} is not {what}. {cure}"


def rank(ctx: click.Context, name: str) -> int:
    """Return the precedence of the source that an option came from; 0 is its default."""
    return _RANKS.get(ctx.get_parameter_source(name) or ParameterSource.DEFAULT, 0)


def is_on_command_line(ctx: click.Context, name: str) -> bool:
    """Return whether an option was given on the command line, not in a file or the environment."""
    return ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE


def without_overruled(ctx: click.Context, config: ScanConfig) -> ScanConfig:
    """Drop options that contradict one from a source of higher precedence."""
    defaults = ScanConfig()
    for one, other in _EXCLUSIVE:
        weaker = one if rank(ctx, one) < rank(ctx, other) else other
        stronger = other if weaker is one else one
        is_used = bool(ctx.params.get(stronger)) and rank(ctx, one) != rank(ctx, other)
        if is_used and hasattr(defaults, weaker):
            config = replace(config, **{weaker: getattr(defaults, weaker)})
    return config


def origins() -> dict[str, object]:
    """Return the source of each option of the running command, and the file that was read."""
    ctx = click.get_current_context(silent=True)
    if ctx is None:
        return {}
    from zipocr.results.cells import to_cell

    file = ctx.find_object(ConfigFile)
    options = [each.name for each in ctx.command.params if isinstance(each, click.Option)]
    told = {name: _ORIGINS.get(ctx.get_parameter_source(name)) for name in options if name}  # type: ignore[arg-type]
    return {"option_origins": told, "config_file": file and to_cell(str(file.path.absolute()))}
