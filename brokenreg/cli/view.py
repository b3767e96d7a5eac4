"""`brokenreg view`: shows the exchanges of a file, without a registry."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from brokenreg.cli.commands import HelpfulCommand, Word
from brokenreg.cli.config_file import CONFIG_OPTION
from brokenreg.cli.exit_status import CouldNotRunError
from brokenreg.cli.options import option
from brokenreg.cli.serve import preferences_from
from brokenreg.quick_imports import quick_imports
from brokenreg.tui.preferences import THEMES

if TYPE_CHECKING:
    from brokenreg.traffic.saved.traffic_file import TrafficFile

_LEAST, _MOST = 2**20, 2**40

_EPILOG = """
\b
Examples:
  brokenreg view exchanges.har
  brokenreg view exchanges.jsonl --follow
"""


@click.command(cls=HelpfulCommand, epilog=_EPILOG)
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--follow", is_flag=True, help="Show what is appended to a log, like tail -F.")
@option(
    "--log-memory",
    metavar="SIZE",
    default="64MiB",
    show_default=True,
    help="Maximum memory for the exchanges. The oldest exchanges are dropped.",
)
@option("--theme", type=Word(THEMES), help="The colours of the panel, as for tui.")
@click.option("--config", **CONFIG_OPTION)
@click.pass_context
def view(context: click.Context, /, file: Path, follow: bool, log_memory: str, theme: str | None) -> None:
    """Show the exchanges of a HAR file, or of a log with a line of JSON for each exchange.

    The file can be from brokenreg, or a HAR file from a browser or another tool. No registry is started, and
    no data folder is used.
    """
    preferences = preferences_from(context, theme)
    traffic = _opened(file, _memory(log_memory), follows=follow)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("standard input and output are not a terminal, which the panel needs")
    import asyncio

    with quick_imports():
        from brokenreg.assembly.view import view as run

    sys.exit(asyncio.run(run(traffic, preferences)))


def _opened(path: Path, memory: int, *, follows: bool) -> TrafficFile:
    """Return the file, of which nothing but the beginning was read. Raise `CouldNotRunError`."""
    with quick_imports():
        from brokenreg.traffic.log import TrafficLog
        from brokenreg.traffic.saved.formats import UnreadableFileError
        from brokenreg.traffic.saved.traffic_file import CAPACITY, TrafficFile

    try:
        return TrafficFile(path, TrafficLog(CAPACITY, memory), follows=follows)
    except UnreadableFileError as error:
        raise CouldNotRunError(str(error)) from None


def _memory(text: str) -> int:
    """Return a size in bytes. Raise `click.UsageError`."""
    from brokenreg.oci.sizes import parse_size

    try:
        size = parse_size(text)
    except ValueError as error:
        raise click.UsageError(f"--log-memory: {error}") from None
    if not _LEAST <= size <= _MOST:
        raise click.UsageError(f'--log-memory: invalid size "{text}": use a size from 1MiB to 1TiB')
    return size
