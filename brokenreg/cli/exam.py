"""`brokenreg exam`: examines a client with everything that registries have done to clients."""

from __future__ import annotations

import secrets
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from brokenreg.cli.client_command import ClientCommand, warn_of_placeholders
from brokenreg.cli.commands import WHOLE_NUMBER
from brokenreg.cli.exam_cases import chosen_cases, list_cases
from brokenreg.cli.options import FILE
from brokenreg.cli.run import checked_files, explained, seconds
from brokenreg.wording import counted, printable

if TYPE_CHECKING:
    from brokenreg.exam.case_results import CaseResult
    from brokenreg.exam.cases import Action
    from brokenreg.exam.earlier_results import EarlierResults
    from brokenreg.exam.examination import Examination
    from brokenreg.exam.outcomes import Outcome

_EPILOG = """
\b
Examples:
  brokenreg exam -- skopeo copy --src-tls-verify=false docker://{image} dir:{workdir}/copy
  brokenreg exam --only 'layer-*' --html exam.html -- ./pull.sh {image}
  brokenreg exam --cases --only 'layer-*'
  brokenreg exam --json exam.json -- ./pull.sh {image}
  brokenreg exam --baseline exam.json -- ./pull.sh {image}
  brokenreg exam --cleanup 'docker rmi {image}' -- docker pull {image}
\b
The placeholders are those of "brokenreg run".
"""


@click.command(cls=ClientCommand, epilog=_EPILOG)
@click.option("--pull", metavar="COMMAND", help="The command that pulls {image}; the same as -- COMMAND.")
@click.option(
    "--pull-tls",
    metavar="COMMAND",
    help="The command that pulls {image} from a registry with TLS. It trusts {ca_file}.",
)
@click.option(
    "--push", metavar="COMMAND", help="The command that pushes oci:{layout}:v1 or {archive} as {image}."
)
@click.option("--list", "list_", metavar="COMMAND", help="The command that lists the tags of {repository}.")
@click.option(
    "--referrers",
    metavar="COMMAND",
    help="The command that lists the referrers of {image}, which has {digest}, with their types.",
)
@click.option(
    "--cleanup", metavar="COMMAND", help="A command that removes {image} from the client, after each case."
)
@click.option(
    "--only",
    metavar="GLOB",
    multiple=True,
    help="Only the cases whose names match. Repeat it for more globs.",
)
@click.option("--cases", "lists_cases", is_flag=True, help="List the cases, and run none.")
@click.option(
    "--timeout", metavar="DURATION", default="20s", show_default=True, help="Time limit for each case."
)
@click.option("--seed", type=WHOLE_NUMBER, metavar="N", help="Seed of the content and of all draws.")
@click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    metavar="N",
    default=1,
    show_default=True,
    help="Examine N cases at the same time, each with a registry of its own.",
)
@click.option(
    "--baseline", metavar="FILE", type=FILE, help="Fail only if an outcome is worse than in this --json file."
)
@click.option(
    "--resume",
    is_flag=True,
    help="Continue the exam in the --json file: examine only the cases that are not in it.",
)
@click.option(
    "--merge",
    metavar="FILE",
    type=FILE,
    multiple=True,
    help="Add the results in this --json file to --json and --html. Repeat it for more files.",
)
@click.option("--json", "json_", metavar="FILE", type=FILE, help="Write the outcomes as JSON.")
@click.option("--junit", metavar="FILE", type=FILE, help="Write the outcomes as JUnit XML.")
@click.option("--html", metavar="FILE", type=FILE, help="Write a report for people, as one HTML file.")
@click.argument("command", nargs=-1, metavar="[-- COMMAND...]", type=click.UNPROCESSED)
def exam(
    pull: str | None,
    pull_tls: str | None,
    push: str | None,
    list_: str | None,
    referrers: str | None,
    command: tuple[str, ...],
    cleanup: str | None,
    only: tuple[str, ...],
    lists_cases: bool,
    timeout: str,
    seed: int | None,
    jobs: int,
    baseline: Path | None,
    resume: bool,
    merge: tuple[Path, ...],
    **files: Path | None,
) -> None:
    """Examine a client: run it in each case, and report what it did.

    In each case, something fails as it has failed in real registries. If an outcome is not good, the exit
    status is 1; with --baseline, only if it is worse than before.
    """
    if lists_cases:
        list_cases(chosen_cases(only))
        return
    commands = _commands(
        command, {"pull": pull, "pull-tls": pull_tls, "push": push, "list": list_, "referrers": referrers}
    )
    warn_of_placeholders([word for each in commands.values() for word in each])
    written = checked_files({name.strip("_"): path for name, path in files.items() if path is not None})
    with explained():
        from brokenreg.exam.earlier_results import earlier_results
        from brokenreg.exam.exam_files import write_files
        from brokenreg.exam.examination import Examination
        from brokenreg.exam.options import RunOptions

        options = RunOptions(
            command=(),
            timeout=seconds(timeout),
            jobs=jobs,
            cleanup=tuple(shlex.split(cleanup or "")),
            with_details="html" in written,
        )
        chosen = chosen_cases(only, commands)
        known = {} if baseline is None else earlier_results("--baseline", baseline).outcomes
        merged = [earlier_results("--merge", each) for each in merge]
        before = _before(written.get("json"), commands) if resume else None
        if seed is None:
            seed = secrets.randbelow(10**6) if before is None else before.seed
        done = () if before is None else before.results
        names = {each.case.name for each in done}
        left = [each for each in chosen if each.name not in names]
        examination = Examination(left, commands, options, seed)
        results = _examine(examination, before, written.get("json"), merged, known)
        write_files(written, examination, results, before, merged)
    sys.exit(_report(examination, results, len(results) - len(done)))


def _before(path: Path | None, commands: dict[Action, tuple[str, ...]]) -> EarlierResults | None:
    """Return the results to go on with; None if there are none yet."""
    from brokenreg.exam.earlier_results import earlier_results
    from brokenreg.exam.tasks import redacted

    if path is None:
        raise click.UsageError("--resume goes on with the results in a file: name it with --json")
    if not path.exists():
        return None
    found = earlier_results("--resume", path)
    for action, command in commands.items():
        if found.commands.get(action, given := shlex.join(redacted(command))) != given:
            raise click.UsageError(
                f"--resume: {path} has the results of another command to {action}: {found.commands[action]}"
            )
    return found


def _commands(
    command: tuple[str, ...], options: Mapping[Action, str | None]
) -> dict[Action, tuple[str, ...]]:
    """Return the words of each command that was given, by action."""
    if options["pull"] is not None and command:
        raise click.UsageError("--pull and -- COMMAND are the same: use one of them")
    found = {action: tuple(shlex.split(text)) for action, text in options.items() if text}
    if command:
        found = {"pull": command, **found}
    if not found:
        raise click.UsageError(
            'no command: write it after "--", such as: brokenreg exam -- ./pull.sh {image}'
        )
    return found


def _examine(
    examination: Examination,
    before: EarlierResults | None,
    json_file: Path | None,
    merged: Sequence[EarlierResults],
    known: Mapping[str, Outcome],
) -> list[CaseResult]:
    """Run the client in all cases, and print each outcome. After a signal, return what is done.

    The results are those of before, too. After each case, all are written, so that a kill loses none.
    """
    from brokenreg.client.local_server import server_processes
    from brokenreg.exam.errors import InterruptedRunError
    from brokenreg.exam.exam_files import write_json
    from brokenreg.exam.examination import SERVER_OPTIONS, examine
    from brokenreg.exam.stop_signals import stop_signals

    earlier = () if before is None else before.results
    done_before = [replace(each, known=known.get(each.case.name)) for each in earlier]
    results: list[CaseResult] = []
    started, total = time.monotonic(), len(examination.cases)

    def done(new: CaseResult) -> None:
        result = replace(new, known=known.get(new.case.name))
        results.append(result)
        if json_file is not None:
            write_json(json_file, examination, [*done_before, *results], before, merged)
        left = (time.monotonic() - started) / len(results) * (total - len(results))
        click.echo(_line(result, len(results), total, left))

    jobs = min(examination.options.jobs, total)
    with stop_signals() as signals, server_processes(jobs, SERVER_OPTIONS) as servers:
        try:
            signals.run(examine(examination, servers, done))
        except InterruptedRunError as error:
            click.echo(f"{error}: {counted(total - len(results), 'case')} not examined", err=True)
    return [*done_before, *results]


def _line(result: CaseResult, number: int, total: int, left: float) -> str:
    mark = "✗" if result.fails else "✓" if result.is_good else "="
    estimate = f", about {left:.0f} s left" if number < total else ""
    took = f"{result.run.duration:.1f} s"
    (verdict,) = result.report.verdicts
    return printable(f"{mark} {result.case.name:32} {verdict.got}  ({took}; {number} of {total}{estimate})")


def _report(examination: Examination, results: Sequence[CaseResult], new: int) -> int:
    """Print the table and the lines that repeat what went wrong, and return the exit status."""
    bad = [each for each in results if each.fails]
    for line in _summary(results, bad):
        click.echo(printable(line))
    if new < len(examination.cases):
        return 3
    return 1 if bad else 0


def _summary(results: Sequence[CaseResult], bad: Sequence[CaseResult]) -> Iterator[str]:
    from brokenreg.exam.outcomes import Outcome

    yield ""
    for outcome in Outcome:
        count = sum(each.outcome is outcome for each in results)
        if count:
            yield f"{count:4}  {outcome}"
    for each in bad:
        yield ""
        yield f"✗ {each.case.name}: {each.case.about.summary}"
        yield f"  {each.case.about.why}"
        (verdict,) = each.report.verdicts
        yield f"  got {verdict.got}, want {verdict.wanted}; to repeat this case:"
        yield f"    {each.report.repeat}"
