"""The base classes of all commands and groups; their usage errors say what is valid."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
from click.core import ParameterSource

from brokenreg.wording import nearest, quoted


class HelpfulCommand(click.Command):
    """A command with our own error messages for wrong options, values and arguments."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments. Raise `click.UsageError`."""
        given = list(args)
        ctx.allow_extra_args = True  # they are refused below, with a suggestion
        with _explained(ctx, given):
            rest = super().parse_args(ctx, args)
        if rest and not ctx.resilient_parsing and not isinstance(self, click.Group):
            from brokenreg.cli.suggestions import instead_of_argument

            raise click.UsageError(
                f"unexpected argument {quoted(rest[0])}: {instead_of_argument(ctx, rest[0])}"
            )
        return rest


class HelpfulGroup(HelpfulCommand, click.Group):
    """A group that suggests a command for one that does not exist."""

    command_class = HelpfulCommand
    group_class = type

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the first argument names. Raise `click.UsageError`."""
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            from brokenreg.cli.suggestions import instead_of_command

            raise click.UsageError(f"no command {quoted(name)}: {instead_of_command(ctx, name)}", ctx)
        return super().resolve_command(ctx, args)


class WholeNumber(click.types.IntParamType):
    """A whole number."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number. Raise `click.BadParameter`."""
        try:
            return int(value)
        except ValueError:
            self.fail(f"invalid value {quoted(value)}: use a whole number", param, ctx)


class Word(click.Choice[str]):
    """One of some words."""

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:
        """Return what is valid instead."""
        words = [str(each) for each in self.choices]
        otherwise = f"use {' or '.join(filter(None, (', '.join(words[:-1]), words[-1])))}"
        return f"invalid value {quoted(value)}: {nearest(str(value), words, otherwise=otherwise)}"


WHOLE_NUMBER = WholeNumber()


@contextmanager
def _explained(ctx: click.Context, args: list[str]) -> Iterator[None]:
    """Replace Click's errors with ours, which say what is valid."""
    try:
        yield
    except click.NoSuchOption as error:
        from brokenreg.cli.suggestions import instead_of_option

        hint = instead_of_option(ctx, error.option_name, args)
        raise click.UsageError(f"no option {quoted(error.option_name)}: {hint}", ctx) from None
    except click.BadOptionUsage as error:
        raise click.UsageError(_wrong_use(ctx, error.option_name), ctx) from None
    except click.MissingParameter as error:
        from brokenreg.cli.suggestions import about_missing

        name = error.param.human_readable_name if error.param is not None else "an argument"
        raise click.UsageError(f"{name} is missing: {about_missing(ctx, name)}", ctx) from None
    except click.BadParameter as error:
        where = f"{_label(ctx, error.param)}: " if error.param is not None else ""
        raise click.UsageError(f"{where}{error.message}", ctx) from None


def _label(ctx: click.Context, param: click.Parameter) -> str:
    """Return the name under which a value was given: that of the option, or its environment variable."""
    if ctx.get_parameter_source(str(param.name)) is ParameterSource.ENVIRONMENT:
        variables = [param.envvar] if isinstance(param.envvar, str) else list(param.envvar or ())
        return " or ".join(variables)
    return param.opts[0] if isinstance(param, click.Option) else param.human_readable_name


def _wrong_use(ctx: click.Context, name: str) -> str:
    """Return how to use an option that lacks its value, or has one although it takes none."""
    param = next((each for each in ctx.command.get_params(ctx) if name in each.opts), None)
    if not isinstance(param, click.Option):
        return f"{name}: add a value"
    if param.is_flag:
        return f"{name} takes no value: use {name} alone"
    return f"{name} needs a value: use {name} {param.make_metavar(ctx)}"
