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

_EPILOG = """
\b
Examples:
  brokenreg wait --timeout 10s        wait until the registry accepts requests
  brokenreg status                    print addresses and counters
  brokenreg reset --namespace job-1   remove what a test left
"""


@click.command(cls=HelpfulCommand, epilog=_EPILOG)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with all fields.")
@control_options
def status(control: Client, as_json: bool) -> None:
    """Print the version, addresses and counters of a running registry."""
    found = control.status()
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    from brokenreg.oci.durations import format_duration

    lines = [
        f"brokenreg {found['version']}, up for {format_duration(round(found['uptime']))}",
        f"registry: {', '.join(found['registry'])}",
        f"control API: {found['control']}",
        f"exchanges: {found['exchanges']} ({found['in_flight']} in flight, {found['held']} held)",
        f"rules: {found['rules']}",
        f"content: {counted(found['repositories'], 'repository', 'repositories')}, "
        f"{counted(found['manifests'], 'manifest')}, {counted(found['blobs'], 'blob')}",
    ]
    for line in lines:
        click.echo(printable(line))


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
