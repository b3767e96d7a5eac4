"""`brokenreg check`: the verdicts on the expectations of a scenario."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from brokenreg.cli.control_client import ControlClient, control_options
from brokenreg.wording import printable

_EPILOG = """
\b
A scenario file says what it expects:
  expect:
    - {name: the client resumes, filter: "endpoint:layer status:206", at_least: 1}
    - {name: no client disconnects, filter: "ended:disconnected", count: 0}
\b
Examples, in CI, once the client is done and while the registry still runs:
  brokenreg check             a line for each expectation; exit status 1 if one is not met
  brokenreg check --json      as GET /v1/expectations
"""


@click.command(epilog=_EPILOG)
@click.option("--json", "as_json", is_flag=True, help="As GET /v1/expectations.")
@control_options
def check(control: ControlClient, as_json: bool) -> None:
    """Report the verdicts of a scenario's expectations; exit with status 1 if one is not met."""
    verdicts: list[dict[str, Any]] = control.request("GET", "/v1/expectations")
    if as_json:
        click.echo(json.dumps(verdicts, indent=2))
    elif not verdicts:
        raise click.ClickException(
            "the scenario has no expectations; `brokenreg check --help` shows an example"
        )
    for each in () if as_json else verdicts:
        mark = "✓" if each["met"] else "✗"
        name = f"{each['name']}: " if each["name"] else ""
        line = f"{mark} {name}{each['filter']}  got {each['seen']}, want {each['wanted']}"
        click.echo(printable(line))
    if not all(each["met"] for each in verdicts):
        sys.exit(1)
