"""`brokenreg log`: the exchanges of a running registry."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

import click

from brokenreg.cli.commands import HelpfulCommand
from brokenreg.cli.control_options import control_options
from brokenreg.wording import counted

if TYPE_CHECKING:
    from brokenreg.client import Client
    from brokenreg.client.documents import Exchange

_EPILOG = """
\b
Examples:
  brokenreg log
  brokenreg log --filter 'endpoint:layer status:5xx'
  brokenreg log --filter held:true
  brokenreg log --filter 'fault:*' --json
  brokenreg log --replica 1f0a93c2    of one replica of a fleet, not of all
  brokenreg log --follow    until Ctrl+C, or until the registry stops
"""


@click.command(cls=HelpfulCommand, epilog=_EPILOG)
@click.option("--filter", "expression", metavar="EXPRESSION", help="List only the exchanges that match.")
@click.option("--follow", is_flag=True, help="List those that have ended, then each one when it ends.")
@click.option(
    "--replica",
    metavar="NAME",
    help="List only the exchanges of this replica of a fleet.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON with all fields, one line per exchange.")
@control_options
def log(control: Client, expression: str | None, follow: bool, replica: str | None, as_json: bool) -> None:
    """List the newest 1,000 exchanges, newest last."""
    if follow:
        with contextlib.suppress(KeyboardInterrupt):
            _follow(control, expression, replica, as_json)
        return
    found = control.exchanges(expression, replica=replica)
    if as_json:
        for each in found:
            click.echo(json.dumps(each))
    elif not found:
        click.echo("no exchanges" if expression is None else "no exchanges match")
    else:
        _print_table(found)


def _follow(control: Client, expression: str | None, replica: str | None, as_json: bool) -> None:
    """Print the exchanges that have ended, then each one when it ends, until the registry stops."""
    with control.events(expression, replica=replica) as events:
        found = control.exchanges(expression, replica=replica)
        listed = [each for each in found if each["ended"] is not None]
        for each in listed:
            _print_line(each, as_json)
        known = {(each.get("replica"), each["id"]) for each in listed}
        for event in events:
            if event["event"] == "dropped":
                click.echo(f"{counted(event['dropped'], 'event')} lost: this reader is too slow", err=True)
                continue
            if event["event"] == "lost":
                click.echo(f"exchanges of replica {event['replica']} are missing from now on", err=True)
            exchange = event["exchange"]
            if event["event"] != "ended" or exchange is None:
                continue
            if (exchange.get("replica"), exchange["id"]) not in known:
                _print_line(exchange, as_json)


def _print_line(exchange: Exchange, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(exchange))
        return
    from brokenreg.client.exchange_text import line

    click.echo(line(exchange))


def _print_table(found: list[Exchange]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from brokenreg.client.exchange_text import cells

    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("id", justify="right", no_wrap=True)
    table.add_column("time", no_wrap=True)
    table.add_column("status", no_wrap=True)
    table.add_column("request", overflow="fold")
    table.add_column("result", overflow="fold")
    for each in found:
        table.add_row(*map(Text, cells(each)))
    Console(highlight=False).print(table)
