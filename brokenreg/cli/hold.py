"""`brokenreg hold|resume|step|abort`: responses in flight of a running registry."""

from __future__ import annotations

import sys
from typing import Any

import click

from brokenreg.cli.control_client import ControlClient, control_options
from brokenreg.cli.rules import match_of, match_options
from brokenreg.wording import counted

_EPILOG = """
\b
Examples:
  brokenreg hold --endpoint layer --at 64KiB      every layer is held after 64 KiB
  brokenreg step --bytes 1MiB                     each held response sends 1 MiB more
  brokenreg resume                                all held responses are resumed
  brokenreg abort 17                              exchange 17 is reset
  brokenreg abort --status 503 --filter 'endpoint:manifest client:docker'
  brokenreg rules clear                           no further response is held
"""

_which = click.option(
    "--filter", "expression", metavar="EXPRESSION", help="Only the held exchanges that match."
)


@click.command(epilog=_EPILOG)
@click.argument("ids", nargs=-1, type=int)
@click.option(
    "--at", metavar="headers|SIZE", default=None, help="Hold before the headers, or after that many bytes."
)
@click.option("--times", type=int, metavar="N", help="Hold N responses at most.")
@match_options
@control_options
def hold(
    control: ControlClient, ids: tuple[int, ...], at: str | None, times: int | None, **options: Any
) -> None:
    """Hold the exchanges with these IDS where they are; without IDS, hold all that match from now on."""
    body = {} if at is None else {"at": at}
    for each in ids:
        control.request("POST", f"/v1/exchanges/{each}/hold", json=body)
    if ids:
        return
    rule: dict[str, Any] = {"fault": {"type": "hold", **body}, "match": match_of(options)}
    added = control.request("POST", "/v1/rules", json=rule if times is None else {**rule, "times": times})
    click.echo(f"rule {added['id']} holds; `brokenreg rules clear {added['id']}` ends it")


@click.command(epilog=_EPILOG)
@click.argument("ids", nargs=-1, type=int)
@_which
@control_options
def resume(control: ControlClient, ids: tuple[int, ...], expression: str | None) -> None:
    """Resume held exchanges: those with these IDS, or all."""
    _order(control, "resume", ids, expression, {})


@click.command(epilog=_EPILOG)
@click.argument("ids", nargs=-1, type=int)
@click.option("--bytes", "size", metavar="SIZE", default="64KiB", show_default=True, help="How far.")
@_which
@control_options
def step(control: ControlClient, ids: tuple[int, ...], size: str, expression: str | None) -> None:
    """Send some bytes of held exchanges, and hold them again: those with these IDS, or all."""
    _order(control, "step", ids, expression, {"bytes": size})


@click.command(epilog=_EPILOG)
@click.argument("ids", nargs=-1, type=int)
@click.option(
    "--status",
    type=int,
    metavar="STATUS",
    help="Respond with that error; skips exchanges whose headers are sent.  [default: a reset]",
)
@_which
@control_options
def abort(control: ControlClient, ids: tuple[int, ...], status: int | None, expression: str | None) -> None:
    """Abort held exchanges: those with these IDS, or all."""
    _order(control, "abort", ids, expression, {} if status is None else {"status": status})


def _order(
    control: ControlClient, order: str, ids: tuple[int, ...], expression: str | None, body: dict[str, Any]
) -> None:
    if ids and expression is not None:
        raise click.UsageError("name exchanges by their ids or by --filter, not by both")
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
