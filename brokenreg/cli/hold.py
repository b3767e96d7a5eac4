"""`brokenreg hold|resume|step|abort`: controls responses in flight of a running registry."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Any, cast

import click

from brokenreg.cli.commands import WHOLE_NUMBER, HelpfulCommand
from brokenreg.cli.control_options import control_options
from brokenreg.cli.exchange_ids import ExchangeId, exchange_id, on_replica
from brokenreg.cli.exit_status import UNEXPECTED
from brokenreg.cli.rule_options import match_of, match_options
from brokenreg.wording import counted, printable

if TYPE_CHECKING:
    from brokenreg.client import Client
    from brokenreg.client.documents import Outcome
    from brokenreg.client.request_documents import NewRule

_EPILOG = """
\b
Examples:
  brokenreg hold --endpoint layer --at 64KiB    hold each layer after 64 KiB
  brokenreg log --filter held:true              list what is held
  brokenreg step --bytes 1MiB                   send 1 MiB more of each
  brokenreg resume 17                           resume exchange 17
  brokenreg resume 1f0a93c2/17                  resume that of a replica
  brokenreg abort --status 503 --filter client:docker
  brokenreg rules clear                         hold no further responses
"""

_which = click.option(
    "--filter", "expression", metavar="EXPRESSION", help="Select the held exchanges that match."
)

_where = click.option(
    "--replica",
    metavar="NAME",
    help="Use the exchanges of this replica of a fleet. An ID can also name it, as in 1f0a93c2/17.  "
    "[default: all replicas; with IDS, that of --url]",
)


@click.command(cls=HelpfulCommand, epilog=_EPILOG)
@click.argument("ids", nargs=-1, type=exchange_id)
@click.option(
    "--at",
    metavar="headers|SIZE",
    default=None,
    help="Where to hold: before the headers, or after this many bytes of the body.  [default: headers; "
    "with IDS, where they are now]",
)
@click.option("--times", type=WHOLE_NUMBER, metavar="N", help="Hold at most N responses.")
@click.option("--replica", metavar="NAME", help="With IDS, the replica of a fleet that has them.")
@match_options
@control_options
def hold(
    control: Client,
    ids: tuple[ExchangeId, ...],
    at: str | None,
    times: int | None,
    replica: str | None,
    **options: Any,
) -> None:
    """Hold the exchanges with these IDS, or, without IDS, every response that matches from now on."""
    body = {} if at is None else {"at": at}
    for each in on_replica(ids, replica):
        control.hold(each.number, at, replica=each.replica)
    if ids:
        return
    if replica is not None:
        raise click.UsageError("--replica needs IDS: without them, a rule holds responses at all replicas")
    rule: dict[str, Any] = {"fault": {"type": "hold", **body}, "match": match_of(options)}
    rule |= {} if times is None else {"times": times}
    added = control.add_rule(cast("NewRule", rule))
    within = f" --namespace {shlex.quote(control.namespace)}" if control.namespace else ""
    remove = f"brokenreg rules remove {added['id']}{within}"
    click.echo(printable(f'rule {added["id"]} holds; run "{remove}" to end it'))


@click.command(cls=HelpfulCommand, epilog=_EPILOG)
@click.argument("ids", nargs=-1, type=exchange_id)
@_which
@_where
@control_options
def resume(control: Client, ids: tuple[ExchangeId, ...], expression: str | None, replica: str | None) -> None:
    """Resume the exchanges with these IDS, or all that are held."""
    _refuse_both(ids, expression)
    for each in on_replica(ids, replica):
        control.resume(each.number, replica=each.replica)
    if not ids:
        _report(control.resume_all(expression, replica=replica))


@click.command(cls=HelpfulCommand, epilog=_EPILOG)
@click.argument("ids", nargs=-1, type=exchange_id)
@click.option(
    "--bytes", "size", metavar="SIZE", default="64KiB", show_default=True, help="How many bytes to send."
)
@_which
@_where
@control_options
def step(
    control: Client, ids: tuple[ExchangeId, ...], size: str, expression: str | None, replica: str | None
) -> None:
    """Send some bytes of the exchanges with these IDS, or of all that are held, then hold them again."""
    _refuse_both(ids, expression)
    for each in on_replica(ids, replica):
        control.step(each.number, size, replica=each.replica)
    if not ids:
        _report(control.step_all(size, expression, replica=replica))


@click.command(cls=HelpfulCommand, epilog=_EPILOG)
@click.argument("ids", nargs=-1, type=exchange_id)
@click.option(
    "--status",
    type=WHOLE_NUMBER,
    metavar="STATUS",
    help="Respond with this error status. Exchanges whose headers have been sent are skipped.  "
    "[default: reset the connection]",
)
@_which
@_where
@control_options
def abort(
    control: Client,
    ids: tuple[ExchangeId, ...],
    status: int | None,
    expression: str | None,
    replica: str | None,
) -> None:
    """Abort the exchanges with these IDS, or all that are held."""
    _refuse_both(ids, expression)
    for each in on_replica(ids, replica):
        control.abort(each.number, status, replica=each.replica)
    if not ids:
        _report(control.abort_all(status, expression, replica=replica), has_status=status is not None)


def _refuse_both(ids: tuple[ExchangeId, ...], expression: str | None) -> None:
    if ids and expression is not None:
        raise click.UsageError("IDs exclude --filter: remove either")


def _report(outcome: Outcome, *, has_status: bool = False) -> None:
    done, skipped = len(outcome["exchanges"]), len(outcome["skipped"])
    if done or not skipped:
        click.echo(counted(done, "exchange"))
    if skipped:
        click.echo(f"{counted(skipped, 'exchange')} skipped: {_why(skipped, has_status)}", err=True)
        sys.exit(0 if done else UNEXPECTED)


def _why(skipped: int, has_status: bool) -> str:
    if not has_status:
        return "not held any more"
    whose, them = ("its", "it") if skipped == 1 else ("their", "them")
    return f"{whose} headers are sent; leave out --status to reset {them}"
