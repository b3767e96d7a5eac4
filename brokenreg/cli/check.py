"""`brokenreg check`: reports the verdicts of a scenario's expectations."""

from __future__ import annotations

import json
import sys
from itertools import zip_longest
from typing import TYPE_CHECKING

import click

from brokenreg.cli.commands import HelpfulCommand
from brokenreg.cli.control_options import control_options
from brokenreg.cli.exit_status import UNEXPECTED
from brokenreg.wording import printable

if TYPE_CHECKING:
    from brokenreg.client import Client

_EPILOG = """
\b
Expectations in a scenario file:
  expect:
    - name: the client resumes
      filter: endpoint:layer attempt:>1 status:206
      at_least: 1
    - name: the client gets the manifest after a failure
      order: [status:503, endpoint:manifest method:GET status:200]
\b
Examples, in CI, after the client has finished:
  brokenreg check           print a line for each expectation
  brokenreg check --json    print the verdicts as JSON
"""


@click.command(cls=HelpfulCommand, epilog=_EPILOG)
@click.option("--json", "as_json", is_flag=True, help="Print the verdicts as JSON.")
@click.option(
    "--replica",
    metavar="NAME",
    help="Count only the exchanges of this replica of a fleet.",
)
@control_options
def check(control: Client, as_json: bool, replica: str | None) -> None:
    """Report whether the expectations of the scenario are met. If not, the exit status is 1."""
    verdicts = control.verdicts(replica=replica)
    if as_json:
        click.echo(json.dumps(verdicts, indent=2))
    elif not verdicts:
        raise click.ClickException(
            'the loaded scenario has no expectations and no rules: run "brokenreg check --help"'
        )
    for each in () if as_json else verdicts:
        mark = "✓" if each["met"] else "✗"
        name = f"{each['name']}: " if each["name"] else ""
        line = f"{mark} {name}{each['filter']}  got {each['got']}, want {each['wanted']}"
        click.echo(printable(line))
        for number, where in zip_longest(each["nearest"], each.get("replicas", [])):
            _show_exchange(control, number, where)
    if not all(each["met"] for each in verdicts):
        sys.exit(UNEXPECTED)


def _show_exchange(control: Client, number: int, replica: str | None) -> None:
    """Print a line for an exchange, unless it is no longer in the log."""
    from brokenreg.client import MissingError

    try:
        exchange = control.exchange(number, replica=replica)
    except MissingError:
        return
    status = exchange["status"] or "no status"
    place = f"{replica}/{number}" if replica else str(number)
    click.echo(printable(f"    {place}  {exchange['method']} {exchange['path']}  {status}"))
