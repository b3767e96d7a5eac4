"""The IDs of exchanges as arguments of commands: `17`, or `1f0a93c2/17` in a fleet."""

from __future__ import annotations

from typing import NamedTuple

import click

from brokenreg.wording import quoted


class ExchangeId(NamedTuple):
    """An exchange, and the replica that has it if the ID names one."""

    replica: str | None
    number: int


def exchange_id(text: str) -> ExchangeId:
    """Return an ID in the form in which `brokenreg log` prints it. Raise `click.BadParameter`."""
    replica, slash, number = text.rpartition("/")
    if not (number.isascii() and number.isdecimal()) or (slash and not replica):
        raise click.BadParameter(f"invalid value {quoted(text)}: use a whole number, or REPLICA/ID")
    return ExchangeId(replica or None, int(number))


def on_replica(ids: tuple[ExchangeId, ...], replica: str | None) -> list[ExchangeId]:
    """Return the IDs, with `--replica` for those that name none. Raise `click.UsageError`."""
    for each in ids:
        if replica is not None and each.replica not in (None, replica):
            raise click.UsageError(
                f"--replica {replica} excludes {each.replica}/{each.number}: remove either"
            )
    return [ExchangeId(each.replica or replica, each.number) for each in ids]
