"""docs/reference/settings.md: every option of `serve` and `tui`, as an option, a variable and a key."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click

from brokenreg.cli.commands import WholeNumber
from brokenreg.cli.main import main
from documentation.markdown import code, codes, prose, table

_DEFAULT = re.compile(r"\s*\[default: (.*)\]$")
"""How the text of an option ends whose default is not a single value."""


def settings() -> str:
    """Return a section for each setting."""
    serve, tui = _options("serve"), _options("tui")
    found = {**serve, **tui}
    order = [*dict.fromkeys([*(name for name in serve if name in tui), *found])]
    lines: list[str] = []
    for name in order:
        only = "" if name in serve and name in tui else "serve" if name in serve else "tui"
        lines += _section(name, found[name], only)
    return "\n".join(lines).rstrip("\n")


def predecessor_variables() -> str:
    """Return the table of broken-image-reg's variables."""
    rows = [
        (code(name), code(option))
        for option, each in _options("serve").items()
        for name in _variables(each)[1:]
    ]
    listen = [
        (code(name), f"the {part} of `--listen`")
        for name, part in (("BIND_HOST", "host"), ("BIND_PORT", "port"))
    ]
    return "\n".join(table(("variable", "setting"), [*listen, *rows]))


def _options(command: str) -> dict[str, click.Option]:
    context = click.Context(main.commands[command], info_name=command)
    params = context.command.get_params(context)
    return {
        each.opts[0]: each for each in params if isinstance(each, click.Option) and "--help" not in each.opts
    }


def _section(name: str, option: click.Option, only: str) -> Iterator[str]:
    text = option.help or ""
    described = _DEFAULT.search(text)
    yield f"### {name}\n"
    yield f"{prose(_DEFAULT.sub('', text))}\n"
    spelled = code(f"{name} {_metavar(option)}".rstrip())
    yield f"- Option: {spelled} (only `brokenreg {only}`)" if only else f"- Option: {spelled}"
    if default := _default(option, described):
        yield f"- Default: {default}"
    yield f"- Environment: {codes(_variables(option)) or code(f'BROKENREG_{name[2:].upper()}')}"
    if name != "--config":
        yield f"- Configuration file: {code(name.removeprefix('--'))}, {_kind(option)}"
    yield ""


def _metavar(option: click.Option) -> str:
    if isinstance(option.type, click.Choice):
        return "|".join(map(str, option.type.choices))
    return "" if option.is_flag else option.metavar or option.type.name.upper()


def _default(option: click.Option, described: re.Match[str] | None) -> str:
    if described:
        return described[1] if " " in described[1] else code(described[1])
    if option.is_flag:
        return "off"
    return code(str(option.default)) if option.show_default else ""


def _variables(option: click.Option) -> list[str]:
    return [option.envvar] if isinstance(option.envvar, str) else list(option.envvar or ())


def _kind(option: click.Option) -> str:
    if option.is_flag:
        return "`true` or `false`"
    if option.multiple:
        return "a list"
    return "a number" if isinstance(option.type, WholeNumber) else "in quotes"
