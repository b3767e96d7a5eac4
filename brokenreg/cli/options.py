"""Options with environment variables, and the options of `serve` and `tui` from the settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import click

from brokenreg.cli.commands import WHOLE_NUMBER, HelpfulCommand, Word
from brokenreg.quick_imports import quick_imports

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

FILE = click.Path(path_type=Path, dir_okay=False)
_TYPES = {
    "DIR": click.Path(path_type=Path, file_okay=False),
    "FILE": FILE,
    "N": WHOLE_NUMBER,
}
"""Types that the command line checks, by metavar. The settings check all other values, which are text."""


def option(name: str, *legacy: str, **attributes: Any) -> Callable[..., Any]:
    """Declare an option that BROKENREG_<NAME> can also set or, failing that, variables of the predecessor."""
    return click.option(name, envvar=_variables(name, *legacy), show_envvar=True, **attributes)


class ServerCommand(HelpfulCommand):
    """A command with an option for each setting.

    The settings are imported when the options are needed, because importing pydantic would double the time of
    `brokenreg --help`.
    """

    _has_settings = False

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the options of the command, those of the settings, and `--help`."""
        if not self._has_settings:
            self._has_settings = True
            *own, config = self.params
            self.params = [*own, *_settings_options(), config]
        return super().get_params(ctx)


def _settings_options() -> Iterator[click.Option]:
    with quick_imports():
        from brokenreg.config.settings import Settings

    for name, field in Settings.model_fields.items():
        yield _settings_option(f"--{name.replace('_', '-')}", field)


def _settings_option(name: str, field: FieldInfo) -> click.Option:
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    metavar, legacy, bare = (str(extra[each]) for each in ("metavar", "legacy", "bare"))
    kinds = tuple(_kinds(field.annotation))
    choices = [choice for kind in kinds if get_origin(kind) is Literal for choice in get_args(kind)]
    default = field.default if isinstance(field.default, str | int) and bool not in kinds else None
    without_value: dict[str, Any] = {"flag_value": bare} if bare else {}
    return click.Option(
        [name],
        type=_TYPES.get(metavar) or (None if metavar else Word(choices) if choices else None),
        metavar=metavar or None,
        multiple=tuple in kinds,
        is_flag=bool in kinds,
        **without_value,
        default=default,
        show_default=default is not None,
        envvar=_variables(name, *filter(None, [legacy])),
        show_envvar=True,
        help=field.description,
    )


def _kinds(annotation: Any) -> Iterator[Any]:
    """Yield the types in an annotation: `tuple[Path, ...] | None` has tuple, Path and None."""
    yield annotation if get_origin(annotation) in (None, Literal) else get_origin(annotation)
    if get_origin(annotation) is not Literal:
        for each in get_args(annotation):
            yield from _kinds(each)


def _variables(name: str, *legacy: str) -> list[str]:
    return [f"BROKENREG_{name.removeprefix('--').replace('-', '_').upper()}", *legacy]
