"""`brokenreg hold|resume|step|abort`: controls responses in flight of a running registry."""

from __future__ import annotations

import sys
from typing import Any

import click

from brokenreg.cli.commands import WHOLE_NUMBER, HelpfulCommand
from brokenreg.cli.control_client import ControlClient, control_options
from brokenreg.cli.rules import match_of, match_options
from brokenreg.wording import counted

_EPILOG = """
\b
Examples:
  brokenreg hold --endpoint layer --at 64KiB    hold each layer after 64 KiB
  brokenreg log --filter held:true              list what is held
  brokenreg step --bytes 1MiB                   send 1 MiB more of each
  brokenreg resume 17                           resume exchange 17
  brokenreg abort --status 503 --filter client:docker
  brokenreg rules clear                         hold no further responses
"""

_which = click.option(
    "--filter", "expression", metavar="EXPRESSION", help="Select the held exchanges that match."
)


@click.command(cls=HelpfulCommand, epilog=_EPILOG)
@click.argument("ids", nargs=-1, type=WHOLE_NUMBER)
@click.option(
    "--at",
    metavar="headers|SIZE",
    default=None,
    help="Where to hold: before the headers, or after this many bytes of the body.  [default: headers; "
    "with IDS, where they are now]",
)
@click.option("--times", type=WHOLE_NUMBER, metavar="N", help="Hold at most N responses.")
@match_options
@control_options
def hold(
    control: ControlClient, ids: tuple[int, ...], at: str | None, times: int | None, **options: Any
) -> None:
    """Hold the exchanges with these IDS, or, without IDS, every response that matches from now on."""
    body = {} if at is None else {"at": at}
    for each in ids:
        control.request("POST", f"/v1/exchanges/{each}/hold", json=body)
    if ids:
        return
    rule: dict[str, Any] = {"fault": {"type": "hold", **body}, "match": match_of(options)}
    added = control.request("POST", "/v1/rules", json=rule if times is None else {**rule, "times": times})
    click.echo(f'rule {added["id"]} holds; run "brokenreg rules remove {added["id"]}" to end it')


@click.command(cls=HelpfulCommand, epilog=_EPILOG)
@click.argument("ids", nargs=-1, type=WHOLE_NUMBER)
@_which
@control_options
def resume(control: ControlClient, ids: tuple[int, ...], expression: str | None) -> None:
    """Resume the exchanges with these IDS, or all that are held."""
    _order(control, "resume", ids, expression, {})


@click.command(cls=HelpfulCommand, epilog=_EPILOG)
@click.argument("ids", nargs=-1, type=WHOLE_NUMBER)
@click.option(
    "--bytes", "size", metavar="SIZE", default="64KiB", show_default=True, help="How many bytes to send."
)
@_which
@control_options
def step(control: ControlClient, ids: tuple[int, ...], size: str, expression: str | None) -> None:
    """Send some bytes of the exchanges with these IDS, or of all that are held, then hold them again."""
    _order(control, "step", ids, expression, {"bytes": size})


@click.command(cls=HelpfulCommand, epilog=_EPILOG)
@click.argument("ids", nargs=-1, type=WHOLE_NUMBER)
@click.option(
    "--status",
    type=WHOLE_NUMBER,
    metavar="STATUS",
    help="Respond with this error status. Exchanges whose headers have been sent are skipped.  "
    "[default: reset the connection]",
)
@_which
@control_options
def abort(control: ControlClient, ids: tuple[int, ...], status: int | None, expression: str | None) -> None:
    """Abort the exchanges with these IDS, or all that are held."""
    _order(control, "abort", ids, expression, {} if status is None else {"status": status})


def _order(
    control: ControlClient, order: str, ids: tuple[int, ...], expression: str | None, body: dict[str, Any]
) -> None:
    if ids and expression is not None:
        raise click.UsageError("IDs exclude --filter: remove either")
    for each in ids:
        control.request("POST", f"/v1/exchanges/{each}/{order}", json=body)
    if not ids:
        params = {} if expression is None else {"filter": expression}
        outcome = control.request("POST", f"/v1/{order}", json=body, params=params)
        done, skipped = len(outcome["exchanges"]), len(outcome["skipped"])
        if done or not skipped:
            click.echo(counted(done, "exchange"))
        if skipped:
            click.echo(f"{counted(skipped, 'exchange')} skipped: {_why(skipped, body)}", err=True)
            sys.exit(0 if done else 1)


def _why(skipped: int, body: dict[str, Any]) -> str:
    if "status" not in body:
        return "not held any more"
    whose, them = ("its", "it") if skipped == 1 else ("their", "them")
    return f"{whose} headers are sent; leave out --status to reset {them}"
