"""`brokenreg breakpoints`: adds, lists and removes breakpoints of a running registry."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from brokenreg.cli.commands import WHOLE_NUMBER, HelpfulGroup
from brokenreg.cli.control_options import control_options
from brokenreg.wording import printable

if TYPE_CHECKING:
    from brokenreg.client import Client

_EPILOG = """
\b
Examples:
  brokenreg breakpoints add 'endpoint:manifest status:200'
  brokenreg log --filter held:true    list what is held
  brokenreg resume                    resume it
  brokenreg breakpoints remove 1
"""


@click.group(cls=HelpfulGroup, epilog=_EPILOG)
def breakpoints() -> None:
    """Hold every response that a filter matches, once its status and headers are ready."""


@breakpoints.command(epilog=_EPILOG)
@click.argument("expression")
@control_options
def add(control: Client, expression: str) -> None:
    """Hold every response that the filter EXPRESSION matches. This also enables all breakpoints."""
    added = control.add_breakpoint(expression)
    click.echo(printable(f"breakpoint {added['id']}: {added['expression']}"))


@breakpoints.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with all fields.")
@control_options
def list_breakpoints(control: Client, as_json: bool) -> None:
    """List all breakpoints."""
    found = control.breakpoints()
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    if not found["breakpoints"]:
        click.echo('no breakpoints; run "brokenreg breakpoints add --help" for examples')
    for each in found["breakpoints"]:
        off = "" if found["on"] else "  (off)"
        click.echo(printable(f"{each['id']:>2}  {each['expression']}{off}"))


@breakpoints.command()
@control_options
def enable(control: Client) -> None:
    """Enable all breakpoints."""
    control.switch_breakpoints(on=True)


@breakpoints.command()
@control_options
def disable(control: Client) -> None:
    """Disable all breakpoints, without removing them. Held responses stay held."""
    control.switch_breakpoints(on=False)


@breakpoints.command()
@click.argument("ids", nargs=-1, type=WHOLE_NUMBER, required=True)
@control_options
def remove(control: Client, ids: tuple[int, ...]) -> None:
    """Remove the breakpoints with these IDS. Held responses stay held."""
    for each in ids:
        control.remove_breakpoint(each)
