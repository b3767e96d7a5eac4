"""The TOML file of `--config`: default options of the commands, and keys and filters of the panel."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from brokenreg.cli.commands import WHOLE_NUMBER
from brokenreg.cli.exit_status import CouldNotRunError
from brokenreg.cli.options import FILE
from brokenreg.wording import nearest, quoted

KEYS = "keys"
"""The table in the file with key bindings of the panel, and its name in `Context.meta`."""

FILTERS = "filters"
"""The table in the file with filters for the panel, and its name in `Context.meta`."""


def _use_defaults(context: click.Context, _: click.Parameter, path: Path | None) -> None:
    """Use the options in a file as defaults of all commands, or of the command that is run."""
    if path is not None:
        tables = _read(path, context)
        context.meta.update({name: tables.pop(name, {}) for name in (KEYS, FILTERS)})
        context.default_map = tables if context.parent is None else tables.get(context.info_name or "", {})


CONFIG_OPTION: dict[str, Any] = {
    "type": FILE,
    "metavar": "FILE",
    "is_eager": True,
    "expose_value": False,
    "callback": _use_defaults,
    "help": "Read options from this TOML file. It has a table for each command, such as [serve], and [keys] "
    "and [filters] for the panel.",
}


def _commands(context: click.Context) -> Mapping[str, click.Command]:
    group = context.find_root().command
    assert isinstance(group, click.Group)  # noqa: S101 - it is that of the command line
    return group.commands


def _read(path: Path, context: click.Context) -> dict[str, Any]:
    import tomllib

    try:
        tables = tomllib.loads(path.read_text())
    except OSError as error:
        raise CouldNotRunError(f"--config {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise click.UsageError(f"--config {path}: invalid TOML: {error}") from None
    return {
        name: table
        if name in (KEYS, FILTERS) and isinstance(table, dict)
        else _options_of(name, table, path, context)
        for name, table in tables.items()
    }


def _options_of(name: str, table: Any, path: Path, context: click.Context) -> dict[str, Any]:
    commands = _commands(context)
    if name not in commands or not isinstance(table, dict):
        hint = nearest(name, [*commands, KEYS, FILTERS])
        raise click.UsageError(f"--config {path}: unknown table {quoted(name)}: {hint}")
    options = [each for each in commands[name].get_params(context) if isinstance(each, click.Option)]
    known = {str(each.name): each for each in options if each.name not in ("config", "help")}
    values = {}
    for key, value in table.items():
        option = known.get(key.replace("-", "_"))
        if option is None:
            from brokenreg.cli.suggestions import instead_of_key

            hint = instead_of_key(name, key, [str(each.name).replace("_", "-") for each in known.values()])
            raise click.UsageError(f"--config {path}: [{name}] unknown option {quoted(key)}: {hint}")
        values[str(option.name)] = [value] if option.multiple and isinstance(value, str) else value
        wanted = _wanted(option, values[str(option.name)])
        if wanted is not None:
            raise click.UsageError(f"--config {path}: [{name}] {key}: use {wanted}")
    return values


def _wanted(option: click.Option, value: Any) -> str | None:
    """Return what an option accepts in TOML, or None if the value has the right type."""
    if option.is_flag:
        return None if isinstance(value, bool) else "true or false"
    if option.multiple:
        is_list = isinstance(value, list) and all(isinstance(each, str) for each in value)
        return None if is_list else f"a list of {option.metavar}, or one, in quotes"
    if option.type is WHOLE_NUMBER:
        return None if isinstance(value, int) and not isinstance(value, bool) else "a whole number"
    if isinstance(value, str) or (option.type is click.STRING and type(value) in (int, float)):
        return None
    return f"one {option.metavar or 'word'}, in quotes"
