"""`brokenreg log`: the exchanges of a running registry."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

import click

from brokenreg.cli.commands import HelpfulCommand
from brokenreg.cli.control_client import ControlClient, control_options
from brokenreg.wording import printable

_EPILOG = """
\b
Examples:
  brokenreg log
  brokenreg log --filter 'endpoint:layer status:5xx'
  brokenreg log --filter held:true
  brokenreg log --filter 'fault:*' --json
"""
_CONNECT = "connect"


@click.command(cls=HelpfulCommand, epilog=_EPILOG)
@click.option("--filter", "expression", metavar="EXPRESSION", help="List only the exchanges that match.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with all fields.")
@control_options
def log(control: ControlClient, expression: str | None, as_json: bool) -> None:
    """List the newest 1000 exchanges, the newest last."""
    params = {} if expression is None else {"filter": expression}
    found: list[dict[str, Any]] = control.request("GET", "/v1/exchanges", params=params)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    elif not found:
        click.echo("no exchanges" if expression is None else "no exchanges match")
    else:
        _print_table(found)


def _print_table(found: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("id", justify="right", no_wrap=True)
    table.add_column("time", no_wrap=True)
    table.add_column("status", no_wrap=True)
    table.add_column("request", overflow="fold")
    table.add_column("result", overflow="fold")
    for each in found:
        table.add_row(*(Text(printable(cell)) for cell in _cells(each)))
    Console(highlight=False).print(table)


def _cells(exchange: Mapping[str, Any]) -> Iterator[str]:
    from brokenreg.oci.sizes import format_size

    yield str(exchange["id"])
    yield time.strftime("%H:%M:%S", time.localtime(exchange["time"]))
    yield str(exchange["status"] or "-")
    is_connection = exchange["endpoint"] == _CONNECT
    yield "(connection)" if is_connection else f"{exchange['method']} {exchange['path']}"
    result = [format_size(exchange["response_bytes"])]
    if exchange["duration"] is not None:
        result.append(f"{1000 * exchange['duration']:.0f} ms")
    result += [exchange["cache"]] if exchange["cache"] else []
    result += [f"fault {'+'.join(exchange['faults'])}"] if exchange["faults"] else []
    if exchange["held"]:
        result.append("held")
    elif exchange["ended"] != "complete":
        result.append(exchange["ended"] or "in flight")
    yield ", ".join(result)
