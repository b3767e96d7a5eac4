"""`brokenreg status|wait|reset`: the state of a running registry as a whole."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from brokenreg.cli.commands import HelpfulCommand
from brokenreg.cli.control_options import control_options
from brokenreg.wording import counted, printable, quoted

if TYPE_CHECKING:
    from brokenreg.client import Client
    from brokenreg.client.documents import Status

_EPILOG = """
\b
Examples:
  brokenreg wait --timeout 10s        wait until the registry accepts requests
  brokenreg status                    print addresses and counters
  brokenreg reset --namespace job-1   remove what a test left
"""


@click.command(cls=HelpfulCommand, epilog=_EPILOG)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with all fields.")
@click.option("--replica", metavar="NAME", help="Print the status of this replica of a fleet.")
@control_options
def status(control: Client, as_json: bool, replica: str | None) -> None:
    """Print the version, addresses and counters of a running registry, and of the replicas of its fleet."""
    found = control.status(replica=replica)
    if replica is None and found.get("replica") is not None:
        found = _with_replicas(control, found)
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    from brokenreg.oci.durations import format_duration

    lines = [
        f"brokenreg {found['version']}, up for {format_duration(round(found['uptime']))}",
        f"registry: {', '.join(found['registry'])}",
        f"control API: {found['control']}",
        f"blobs: {found['blob_storage']}",
        f"index: {found['database']}",
        f"exchanges: {_exchanges(found)}",
        f"rules: {found['rules']}",
        f"content: {counted(found['repositories'], 'repository', 'repositories')}, "
        f"{counted(found['manifests'], 'manifest')}, {counted(found['blobs'], 'blob')}",
    ]
    for name, each in found.get("replicas", {}).items():
        up = format_duration(round(each["uptime"]))
        here = ", this one" if name == found["replica"] else ""
        lines.append(
            f"replica {name}{here}: {each['registry'][0]}, up for {up}, exchanges: {_exchanges(each)}"
        )
    for line in lines:
        click.echo(printable(line))


def _with_replicas(control: Client, own: Status) -> Status:
    """Return the status of a replica with those of all, or its own if another one does not respond."""
    from brokenreg.client import ProblemError

    try:
        return control.status(replica="*")
    except ProblemError as error:
        click.echo(printable(f"brokenreg: {error}"), err=True)
        return own


def _exchanges(found: Status) -> str:
    return f"{found['exchanges']} ({found['in_flight']} in flight, {found['held']} held)"


@click.command(cls=HelpfulCommand, epilog=_EPILOG)
@click.option("--timeout", metavar="DURATION", default="30s", show_default=True, help="How long to wait.")
@control_options
def wait(control: Client, timeout: str) -> None:
    """Wait until a registry is ready. If it is not ready in time, the exit status is 124."""
    control.wait(_seconds(timeout))


@click.command(cls=HelpfulCommand, epilog=_EPILOG)
@control_options
def reset(control: Client) -> None:
    """Restore the initial rules; clear counters and ended exchanges. Images stay.

    Without a namespace, also remove all breakpoints.
    """
    control.reset()


def _seconds(text: str) -> float:
    from brokenreg.oci.durations import parse_duration

    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise click.UsageError(f"--timeout: {error}") from None
    if seconds < 0:
        raise click.UsageError(f"--timeout: invalid duration {quoted(text)}: use 0s or more")
    return seconds
