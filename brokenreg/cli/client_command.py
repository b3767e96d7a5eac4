"""The base class of the commands that run a client, whose command line follows `--`."""

from __future__ import annotations

from collections.abc import Sequence

import click

from brokenreg.cli.commands import HelpfulCommand
from brokenreg.wording import quoted

_END = "--"


class ClientCommand(HelpfulCommand):
    """A command with a client's command line, in which only what follows `--` is for the client."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments. Raise `click.UsageError`."""
        if not ctx.resilient_parsing:
            self._check_order(ctx, args)
        return super().parse_args(ctx, args)

    def _check_order(self, ctx: click.Context, args: list[str]) -> None:
        """Raise `click.UsageError` if arguments are before `--`, or if the client's options lack a `--`."""
        before = args[: args.index(_END)] if _END in args else args
        words = self._words(ctx, before)
        if not words or words[0].startswith("-"):  # an option that does not exist is explained later
            return
        first = words[0]
        if _END in args:
            raise click.UsageError(f'unexpected argument {quoted(first)} before "--": {self._instead()}', ctx)
        unknown = next((each for each in words if each.startswith("-")), None)
        if unknown is not None:
            raise click.UsageError(
                f'no option {quoted(unknown)}: if it is one of the client, write "--" before {quoted(first)}',
                ctx,
            )

    def _words(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Return the arguments that are no options of ours; none if an option is wrong."""
        parser = self.make_parser(ctx)
        parser.ignore_unknown_options = True
        try:
            found = parser.parse_args(list(args))[0].get("command")
        except click.UsageError:
            return []
        return [str(each) for each in found] if isinstance(found, tuple | list) else []

    def _instead(self) -> str:
        if any(each.name == "scenarios" for each in self.params):
            return "use --scenario for each file, or put the glob in quotes"
        return 'write the command after "--"'


def warn_of_placeholders(command: Sequence[str]) -> None:
    """Print a warning for each name in braces that is almost a placeholder."""
    if not any("{" in each for each in command):
        return
    from brokenreg.exam.placeholders import misspelt

    for name, meant in misspelt(command).items():
        click.echo(f"Warning: {{{name}}} is not a placeholder: did you mean {{{meant}}}?", err=True)
