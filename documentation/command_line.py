"""docs/reference/command-line.md: every command, with its arguments, options and examples."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from brokenreg.cli.main import main
from brokenreg.cli.options import ServerCommand
from documentation.markdown import code, codes, prose, table


def commands() -> str:
    """Return all sections. Commands that share their examples have them once."""
    lines: list[str] = []
    shown = set()
    for context in _contexts(click.Context(main, info_name="brokenreg")):
        lines += _section(context)
        epilog = context.command.epilog
        if epilog and epilog not in shown:
            shown.add(epilog)
            lines.append(f"```text\n{_examples(epilog)}\n```\n")
    return "\n".join(lines).rstrip("\n")


def _contexts(context: click.Context) -> Iterator[click.Context]:
    """Yield a command and all below it."""
    yield context
    if isinstance(context.command, click.Group):
        for name, command in context.command.commands.items():
            yield from _contexts(click.Context(command, context, info_name=name))


def _section(context: click.Context) -> Iterator[str]:
    command = context.command
    yield f"### {context.command_path}\n"
    yield f"{prose(command.help or '')}\n"
    yield f"```text\n{context.command_path} {' '.join(command.collect_usage_pieces(context))}\n```\n"
    if isinstance(command, click.Group):
        below = command.commands.items()
        summaries = ((_link(context, name), prose(each.get_short_help_str(200))) for name, each in below)
        yield from table(("command", "what it does"), summaries)
        yield ""
    options = [each for each in command.get_params(context) if isinstance(each, click.Option)]
    rows = [_row(option) for option in options if "--help" not in option.opts]
    if isinstance(command, ServerCommand):
        yield "Every [setting](settings.md#all-settings) is an option of this command.\n"
    elif rows:
        yield from table(("option", "meaning"), rows)
        yield ""


def _link(context: click.Context, name: str) -> str:
    path = f"{context.command_path} {name}"
    return f"[{code(path)}](#{path.replace(' ', '-')})"


def _row(option: click.Option) -> tuple[str, str]:
    names = codes(f"{name} {option.metavar}" if option.metavar else name for name in option.opts)
    return names, " ".join(filter(None, (prose(option.help or ""), _default(option), _variables(option))))


def _default(option: click.Option) -> str:
    if isinstance(option.show_default, str):
        return f"Default: {prose(option.show_default).strip('()')}."
    return (
        f"Default: {code(str(option.default))}." if option.show_default and option.default is not None else ""
    )


def _variables(option: click.Option) -> str:
    found = [option.envvar] if isinstance(option.envvar, str) else list(option.envvar or ())
    return f"Environment: {codes(found)}." if found else ""


def _examples(epilog: str) -> str:
    """Return the examples at the end of `--help`, without its marks for line breaks."""
    text = epilog.strip().removeprefix("\b\n").removeprefix("Examples:\n").replace("\b\n", "\n")
    return inspect.cleandoc(f"\n{text}")
