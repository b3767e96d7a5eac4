"""`brokenreg run`: runs a client against scenarios, and reports what it did."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from brokenreg.cli.commands import WHOLE_NUMBER, HelpfulCommand
from brokenreg.cli.exit_status import CouldNotRunError
from brokenreg.cli.options import FILE
from brokenreg.wording import printable, quoted

if TYPE_CHECKING:
    from brokenreg.exam.one_run import RunningRegistry, RunOptions
    from brokenreg.exam.report import RunReport
    from brokenreg.exam.stop_signals import StopSignals
    from brokenreg.exam.tasks import Task

_EPILOG = """
\b
Examples:
  brokenreg run --scenario scenario.yaml -- skopeo inspect --tls-verify=false docker://{image}
  brokenreg run --scenario a.yaml --scenario b.yaml --junit junit.xml -- ./test-client.sh
\b
Placeholders, which are also variables such as BROKENREG_IMAGE:
  {image}          HOST:PORT/REPOSITORY:TAG, in the namespace of the run
  {repository}     its repository     {tag}            its tag
  {digest}         its digest         {registry}       HOST:PORT
  {registry_url}   with http://       {control_url}    the control API
  {workdir}        an empty folder, which is removed after the run
  {username}, {password}, {auth_file}     credentials, and a config.json with them
  {ca_file}        the CAs to trust
"""


@click.command(cls=HelpfulCommand, epilog=_EPILOG)
@click.option(
    "--scenario",
    "files",
    metavar="FILE",
    type=FILE,
    multiple=True,
    help="Run the command against this scenario; can be repeated.",
)
@click.option(
    "--url",
    metavar="URL",
    help="Use the running registry with this control API, in a new namespace. By default, a registry is "
    "started for the run.",
)
@click.option(
    "--token",
    envvar="BROKENREG_CONTROL_TOKEN",
    show_envvar=True,
    metavar="TOKEN",
    help="The --control-token of the running registry, if it has one.",
)
@click.option(
    "--timeout", metavar="DURATION", default="120s", show_default=True, help="Time limit for each command."
)
@click.option("--seed", type=WHOLE_NUMBER, metavar="N", help="Seed of all draws, instead of the scenario's.")
@click.option("--junit", metavar="FILE", type=FILE, help="Write the verdicts as JUnit XML.")
@click.option("--har", metavar="FILE", type=FILE, help="Write the exchanges as HAR 1.2.")
@click.argument("command", nargs=-1, required=True, metavar="-- COMMAND...", type=click.UNPROCESSED)
def run(
    files: tuple[Path, ...],
    url: str | None,
    token: str | None,
    timeout: str,
    seed: int | None,
    junit: Path | None,
    har: Path | None,
    command: tuple[str, ...],
) -> None:
    """Run a client against scenarios, and report whether it did what it should.

    Placeholders in COMMAND are filled in, without a shell. If a verdict is not as expected, the exit status
    is 1. If the client runs out of time, it is 124.
    """
    limit = _seconds(timeout)
    for each in (junit, har):
        if each is not None and not each.absolute().parent.is_dir():
            raise CouldNotRunError(printable(f"{each}: the folder does not exist"))
    with _explained():
        _run(files, url, token, limit, seed, junit, har, command)


def _run(
    files: Sequence[Path],
    url: str | None,
    token: str | None,
    timeout: float,
    seed: int | None,
    junit: Path | None,
    har: Path | None,
    command: tuple[str, ...],
) -> None:
    from brokenreg.exam.stop_signals import stop_signals

    with stop_signals() as signals, _registry(url, token, signals) as registry:
        from brokenreg.exam.one_run import RunOptions
        from brokenreg.exam.tasks import tasks_of

        tasks = tasks_of(files, url)
        repeat = ["--timeout", f"{timeout:g}s"] + (["--url", url] if url is not None else [])
        options = RunOptions(command, timeout, seed, token, url is not None, tuple(repeat))
        reports, parts = _reports(tasks, options, registry(), signals, with_har=har is not None)
    from brokenreg.exam.report import exit_status
    from brokenreg.exam.summary import summary

    for line in summary(reports):
        click.echo(line)
    if junit is not None:
        from brokenreg.exam.junit import junit_xml

        junit.write_bytes(junit_xml(reports))
    if har is not None:
        from brokenreg.exam.one_run import merged_har

        har.write_text(json.dumps(merged_har(parts)))
    sys.exit(exit_status(reports))


def _reports(
    tasks: Sequence[Task],
    options: RunOptions,
    registry: RunningRegistry,
    signals: StopSignals,
    *,
    with_har: bool,
) -> tuple[list[RunReport], list[dict[str, Any]]]:
    """Run one task after another, and return their reports and their exchanges as HAR."""
    from brokenreg.exam.one_run import Run

    reports, parts = [], []
    for task in tasks:
        one = Run(task, options, registry, signals)
        reports.append(one.report(with_har=with_har))
        parts += [one.har] if one.har is not None else []
    return reports, parts


@contextmanager
def _registry(url: str | None, token: str | None, signals: StopSignals) -> Iterator[Any]:
    """Yield a function that returns the registry of the run once it is ready."""
    from brokenreg.client import Client
    from brokenreg.client.local_server import ServerProcess
    from brokenreg.exam.one_run import RunningRegistry

    if url is not None:
        with Client(url, token=token) as control:
            status = control.status()
        yield lambda: RunningRegistry(status["registry"][0], control.url)
        return

    def ready() -> RunningRegistry:
        found = process.ready()
        signals.wait(0)
        return RunningRegistry(found.registry_url, found.control_url, found.authority)

    process = ServerProcess()
    try:
        yield ready
    finally:
        process.stop()


@contextmanager
def _explained() -> Iterator[None]:
    """Translate errors of a run into one line and an exit status."""
    from brokenreg.exam.errors import RunError, RunUsageError

    try:
        yield
    except RunUsageError as error:
        raise click.UsageError(printable(str(error))) from None
    except RunError as error:
        raise CouldNotRunError(printable(str(error))) from None
    except OSError as error:
        raise CouldNotRunError(printable(f"{error.filename or 'system'}: {error.strerror}")) from None
    except Exception as error:
        from brokenreg.client import ControlError, NotStartedError

        if isinstance(error, NotStartedError):
            raise CouldNotRunError(printable(str(error))) from None
        if not isinstance(error, ControlError):
            raise
        from brokenreg.cli.control_errors import explained

        raise explained(error) from None


def _seconds(text: str) -> float:
    from brokenreg.oci.durations import parse_duration

    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise click.UsageError(f"--timeout: {error}") from None
    if seconds <= 0:
        raise click.UsageError(f"--timeout: invalid duration {quoted(text)}: use more than 0s")
    return seconds
