"""`brokenreg rules`: adds, lists, changes and removes the rules of a running registry."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import click

from brokenreg.cli.commands import WHOLE_NUMBER, HelpfulGroup
from brokenreg.cli.control_options import control_options
from brokenreg.cli.rule_options import new_rule, rule_options
from brokenreg.wording import printable, quoted

if TYPE_CHECKING:
    from brokenreg.client import Client

MAX_MOVE = 1000
"""By how many places a rule can be moved: as many as there can be rules."""

_EPILOG = """
\b
Examples:
  brokenreg rules add truncate after=64KiB end=rst --endpoint layer --times 2
  brokenreg rules add error status=503 --repository 'library/*'
  brokenreg rules add latency dur=2s + throttle rate=64KiB
  brokenreg rules list
  brokenreg rules disable 3
  brokenreg rules move 3 --up 1
  brokenreg scenario show > scenario.yaml
  brokenreg rules remove 3
  brokenreg rules clear
"""


@click.group(cls=HelpfulGroup, epilog=_EPILOG)
def rules() -> None:
    """Add, list, change and remove the rules of a running registry."""


@rules.command(epilog=_EPILOG)
@rule_options
@click.option("--first", is_flag=True, help="Evaluate the rule before all others, not after them.")
@control_options
def add(control: Client, first: bool, **options: Any) -> None:
    """Add a rule that applies FAULT with PARAMETERS, written as NAME=VALUE.

    To combine several faults on one response, put + between them. "brokenreg faults" lists all
    faults, and "brokenreg faults NAME" shows the parameters of one.
    """
    added = control.add_rule(new_rule(options))
    if first:
        control.change_rule(added["id"], move_by=-MAX_MOVE)
    _warn_of_version(options["client"])
    click.echo(printable(f"rule {added['id']}: {_spelled(added)}"))


@rules.command()
@click.argument("rule_id", metavar="ID", type=WHOLE_NUMBER)
@rule_options
@control_options
def replace(control: Client, rule_id: int, **options: Any) -> None:
    """Replace the rule with this ID by another. Its place stays, and its counters start at 0."""
    replaced = control.replace_rule(rule_id, new_rule(options))
    _warn_of_version(options["client"])
    click.echo(printable(f"rule {replaced['id']}: {_spelled(replaced)}"))


def _warn_of_version(client: str | None) -> None:
    """Print a warning for a name such as `skopeo`, which is not the whole User-Agent of that client."""
    from brokenreg.http.authority import ip_address_of

    if client and not set(client) & set("/*?[ ") and ip_address_of(client) is None:
        meant = f"{client}/*"
        click.echo(
            f"Warning: --client {printable(client)} is only for the User-Agent {quoted(client)}: "
            f"write {quoted(meant)} for any version",
            err=True,
        )


@rules.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with all fields.")
@control_options
def list_rules(control: Client, as_json: bool) -> None:
    """List the rules in the order in which they are evaluated, with their counters."""
    found = control.rules()
    if as_json:
        click.echo(json.dumps(found, indent=2))
    elif not found:
        click.echo('no rules; run "brokenreg rules add --help" for examples')
    else:
        _print_table(found)


@rules.command()
@control_options
def clear(control: Client) -> None:
    """Remove all rules."""
    control.clear_rules()


_ids = click.argument("ids", nargs=-1, type=WHOLE_NUMBER, required=True)


@rules.command()
@_ids
@control_options
def enable(control: Client, ids: tuple[int, ...]) -> None:
    """Enable the rules with these IDS. Their counters stay."""
    for each in ids:
        control.change_rule(each, enabled=True)


@rules.command()
@_ids
@control_options
def disable(control: Client, ids: tuple[int, ...]) -> None:
    """Disable the rules with these IDS, without removing them. Their counters stay."""
    for each in ids:
        control.change_rule(each, enabled=False)


@rules.command()
@click.argument("rule_id", metavar="ID", type=WHOLE_NUMBER)
@click.option("--up", type=WHOLE_NUMBER, default=0, metavar="N", help="Evaluate the rule N places earlier.")
@click.option("--down", type=WHOLE_NUMBER, default=0, metavar="N", help="Evaluate the rule N places later.")
@control_options
def move(control: Client, rule_id: int, up: int, down: int) -> None:
    """Move the rule with this ID among the rules, or among the overrides if it is one."""
    if not 0 < abs(down - up) <= MAX_MOVE:
        raise click.UsageError(f"use --up N or --down N, with 1 to {MAX_MOVE}")
    control.change_rule(rule_id, move_by=down - up)


@rules.command()
@_ids
@control_options
def remove(control: Client, ids: tuple[int, ...]) -> None:
    """Remove the rules with these IDS."""
    for each in ids:
        control.remove_rule(each)


def _print_table(found: Iterable[Mapping[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("id", "rule", "matched", "applied", "from"):
        table.add_column(heading, justify="right" if heading in ("id", "matched", "applied") else "left")
    for rule in found:
        row = (
            str(rule["id"]),
            _spelled(rule),
            str(rule["matched"]),
            str(rule["applied"]),
            str(rule["source"]),
        )
        table.add_row(*(Text(printable(cell)) for cell in row))
    Console(highlight=False).print(table)


def _spelled(rule: Mapping[str, Any]) -> str:
    """Return a rule as one line of text."""
    from brokenreg.client.rule_text import rule_words

    name = f"{rule['name']}: " if rule.get("name") else ""
    return f"{name}{rule_words(rule)}"
