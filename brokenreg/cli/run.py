"""`brokenreg run`: runs a client against scenarios, and reports what it did."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from brokenreg.cli.client_command import ClientCommand, warn_of_placeholders
from brokenreg.cli.commands import WHOLE_NUMBER
from brokenreg.cli.exit_status import CouldNotRunError
from brokenreg.cli.options import FILE
from brokenreg.quick_imports import quick_imports
from brokenreg.wording import printable, quoted

if TYPE_CHECKING:
    from brokenreg.exam.options import RunOptions
    from brokenreg.exam.results import Results

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
  {registry_url}   as a URL           {control_url}    the control API
  {workdir}        an empty folder, which is removed after the run
  {username}, {password}, {auth_file}     credentials, and a config.json with them
  {ca_file}        the CAs to trust
  {layout}, {archive}     an image to push: an OCI layout, with the tag v1, and an archive of it
"""


_MOST_JOBS = 64
_PRINTING = 1.0
"""Seconds that the end of the output has to be printed after an error."""

_REPORTS = {
    "junit": "Write the verdicts as JUnit XML.",
    "html": "Write a report for people, as one HTML file.",
    "har": "Write the exchanges as HAR 1.2.",
}
"""The options for files that are written at the end. `exam.report_files` has a writer for each."""


def _report_options(command: Callable[..., None]) -> Callable[..., None]:
    for name, text in reversed(_REPORTS.items()):
        command = click.option(f"--{name}", metavar="FILE", type=FILE, help=text)(command)
    return command


@click.command(cls=ClientCommand, epilog=_EPILOG)
@click.option(
    "--scenario",
    "scenarios",
    metavar="FILE|FOLDER|GLOB|profile:NAME",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Run the command against this scenario, all scenarios of a folder, or a profile; can be repeated.",
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
@click.option(
    "--jobs",
    type=WHOLE_NUMBER,
    callback=lambda _context, _option, number: _jobs(number),
    metavar="N",
    default=1,
    show_default=True,
    help="Run against N scenarios at the same time, each with a registry of its own.",
)
@_report_options
@click.argument("command", nargs=-1, required=True, metavar="-- COMMAND...", type=click.UNPROCESSED)
def run(scenarios: tuple[Path, ...], timeout: str, **options: Any) -> None:
    """Run a client against scenarios, and report whether it did what it should.

    Placeholders in COMMAND are filled in, without a shell. If a verdict is not as expected, the exit status
    is 1. If the client runs out of time, it is 124.
    """
    from brokenreg.exam.options import RunOptions

    files = checked_files({name: path for name in _REPORTS if (path := options.pop(name)) is not None})
    warn_of_placeholders(options["command"])
    with explained():
        wanted = RunOptions(
            timeout=seconds(timeout), with_har="har" in files, with_details="html" in files, **options
        )
        status = _run(scenarios, wanted, files)
    gc.freeze()  # the collections at the end of a process would visit all objects for nothing
    sys.exit(status)


def _run(scenarios: Sequence[Path], options: RunOptions, files: Mapping[str, Path]) -> int:
    """Run the command against each scenario, report, and return the exit status.

    The servers start first and stop while the report is written, because both take a while. If an error ends
    the runs, what has been found before is reported, too.
    """
    from brokenreg.client.local_server import server_processes
    from brokenreg.exam.scenario_files import scenario_files
    from brokenreg.exam.stop_signals import stop_signals

    files_of_scenarios = scenario_files(scenarios)
    jobs = min(options.jobs, max(len(files_of_scenarios), 1))
    with stop_signals() as signals, server_processes(0 if options.is_shared else jobs) as servers:
        with quick_imports():
            from brokenreg.exam.report import exit_status
            from brokenreg.exam.results import Results
            from brokenreg.exam.runs import run_all
            from brokenreg.exam.tasks import tasks_of

        results, tasks = Results(), tasks_of(files_of_scenarios, options.url)
        try:
            signals.run(run_all(tasks, options, servers, results))
        finally:
            for each in servers:
                each.terminate()
            if results:
                _write(files, results)
                _print_end(results, len(tasks))
        return exit_status(results.reports)


def _write(files: Mapping[str, Path], results: Results) -> None:
    from brokenreg.exam.report_files import write_report

    for name, path in files.items():
        write_report(name, path, results.in_order)


def _print_end(results: Results, scenarios: int) -> None:
    """Print what is not printed yet. After an error, when results are missing, do not wait for readers."""
    from threading import Thread

    from brokenreg.exam.client_process import print_bytes
    from brokenreg.exam.summary import lines_of_total

    total = "".join(f"{line}\n" for line in lines_of_total(results.reports, scenarios))
    text = f"{results.rest()}{total}".encode(errors="replace")
    printing = Thread(target=print_bytes, args=(text,), daemon=True)
    printing.start()
    printing.join(None if len(results) == scenarios else _PRINTING)


def checked_files(files: dict[str, Path]) -> dict[str, Path]:
    """Return the files, whose folders must exist before anything is run."""
    for each in files.values():
        if not each.absolute().parent.is_dir():
            raise CouldNotRunError(printable(f"{each}: the folder does not exist"))
    return files


@contextmanager
def explained() -> Iterator[None]:
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
    except click.ClickException:
        raise
    except Exception as error:
        from brokenreg.client import ControlError

        if not isinstance(error, ControlError):
            raise
        from brokenreg.cli.control_errors import explained

        raise explained(error) from None


def _jobs(number: int) -> int:
    if not 1 <= number <= _MOST_JOBS:
        raise click.BadParameter(f"invalid value {quoted(number)}: use a number from 1 to {_MOST_JOBS}")
    return number


def seconds(text: str) -> float:
    from brokenreg.oci.durations import parse_duration

    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise click.UsageError(f"--timeout: {error}") from None
    if seconds <= 0:
        raise click.UsageError(f"--timeout: invalid duration {quoted(text)}: use more than 0s")
    return seconds
