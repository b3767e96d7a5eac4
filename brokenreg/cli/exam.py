"""`brokenreg exam`: examines a client with everything that registries have done to clients."""

from __future__ import annotations

import json
import secrets
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from brokenreg.cli.client_command import ClientCommand
from brokenreg.cli.commands import WHOLE_NUMBER
from brokenreg.cli.exit_status import CouldNotRunError
from brokenreg.cli.options import FILE
from brokenreg.cli.run import checked_files, explained, seconds
from brokenreg.wording import counted, printable, quoted

if TYPE_CHECKING:
    from brokenreg.exam.cases import Action, Case
    from brokenreg.exam.examination import CaseResult, Examination
    from brokenreg.exam.outcomes import Outcome

_EPILOG = """
\b
Examples:
  brokenreg exam -- skopeo copy --src-tls-verify=false docker://{image} dir:{workdir}/copy
  brokenreg exam --only 'layer-*' --html exam.html -- ./pull.sh {image}
  brokenreg exam --json exam.json -- ./pull.sh {image}
  brokenreg exam --baseline exam.json -- ./pull.sh {image}
\b
The placeholders are those of "brokenreg run".
"""


@click.command(cls=ClientCommand, epilog=_EPILOG)
@click.option("--pull", metavar="COMMAND", help="The command that pulls {image}; the same as -- COMMAND.")
@click.option(
    "--push", metavar="COMMAND", help="The command that pushes oci:{layout}:v1 or {archive} as {image}."
)
@click.option("--list", "list_", metavar="COMMAND", help="The command that lists the tags of {repository}.")
@click.option("--only", metavar="GLOB", default="*", help="Only the cases whose names match.")
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
    "--baseline", metavar="FILE", type=FILE, help="Fail only for what is worse than in this --json file."
)
@click.option("--json", "json_", metavar="FILE", type=FILE, help="Write the outcomes as JSON.")
@click.option("--junit", metavar="FILE", type=FILE, help="Write the outcomes as JUnit XML.")
@click.option("--html", metavar="FILE", type=FILE, help="Write a report for people, as one HTML file.")
@click.argument("command", nargs=-1, metavar="[-- COMMAND...]", type=click.UNPROCESSED)
def exam(
    pull: str | None,
    push: str | None,
    list_: str | None,
    command: tuple[str, ...],
    only: str,
    timeout: str,
    seed: int | None,
    jobs: int,
    baseline: Path | None,
    **files: Path | None,
) -> None:
    """Examine a client: run it in each case, and say what it did there.

    In each case, something fails as it has failed in real registries. If an outcome is not good, the exit
    status is 1; with --baseline, if it is worse than before.
    """
    commands = _commands(pull, push, list_, command)
    written = checked_files({name.strip("_"): path for name, path in files.items() if path is not None})
    with explained():
        from brokenreg.exam.examination import Examination
        from brokenreg.exam.options import RunOptions

        options = RunOptions(command=(), timeout=seconds(timeout), jobs=jobs, with_details="html" in written)
        chosen = [each for each in _cases(only) if each.action in commands]
        if not chosen:
            raise click.UsageError(f"--only: no case for {' or '.join(commands)} matches {quoted(only)}")
        base = secrets.randbelow(10**6) if seed is None else seed
        examination = Examination(chosen, commands, options, base)
        known = {} if baseline is None else _baseline(baseline)
        results = _examine(examination)
        _write(written, examination, results)
    sys.exit(_report(examination, results, known))


def _commands(
    pull: str | None, push: str | None, list_: str | None, command: tuple[str, ...]
) -> dict[Action, tuple[str, ...]]:
    if pull is not None and command:
        raise click.UsageError("--pull and -- COMMAND are the same: use one of them")
    given: dict[Action, tuple[str, ...]] = {
        "pull": command or tuple(shlex.split(pull or "")),
        "push": tuple(shlex.split(push or "")),
        "list": tuple(shlex.split(list_ or "")),
    }
    found = {action: words for action, words in given.items() if words}
    if not found:
        raise click.UsageError(
            'no command: write it after "--", such as: brokenreg exam -- ./pull.sh {image}'
        )
    return found


def _cases(only: str) -> list[Case]:
    from brokenreg.exam.cases import cases

    return cases(only)


def _baseline(path: Path) -> dict[str, Outcome]:
    """Return the outcomes in a file that `--json` wrote."""
    from brokenreg.exam.outcomes import Outcome

    try:
        document = json.loads(path.read_bytes())
        return {each["name"]: Outcome(each["outcome"]) for each in document["cases"]}
    except OSError as error:
        raise CouldNotRunError(f"--baseline: {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise click.UsageError(f"--baseline: {path} is not a file that brokenreg exam --json wrote") from None


def _examine(examination: Examination) -> list[CaseResult]:
    """Run the client in all cases, and print each outcome. After a signal, return what is done."""
    from brokenreg.client.local_server import server_processes
    from brokenreg.exam.errors import InterruptedRunError
    from brokenreg.exam.examination import examine
    from brokenreg.exam.stop_signals import stop_signals

    results: list[CaseResult] = []
    started, total = time.monotonic(), len(examination.cases)

    def done(result: CaseResult) -> None:
        results.append(result)
        left = (time.monotonic() - started) / len(results) * (total - len(results))
        click.echo(_line(result, len(results), total, left))

    jobs = min(examination.options.jobs, total)
    with stop_signals() as signals, server_processes(jobs, ["--offline"]) as servers:
        try:
            signals.run(examine(examination, servers, done))
        except InterruptedRunError as error:
            click.echo(f"{error}: {counted(total - len(results), 'case')} not examined", err=True)
    return results


def _line(result: CaseResult, number: int, total: int, left: float) -> str:
    mark = "✓" if result.is_good else "✗"
    estimate = f", about {left:.0f} s left" if number < total else ""
    took = f"{result.report.duration:.1f} s"
    return printable(f"{mark} {result.case.name:32} {result.words}  ({took}; {number} of {total}{estimate})")


def _write(files: dict[str, Path], examination: Examination, results: Sequence[CaseResult]) -> None:
    from brokenreg.exam.examination import document_of

    reports = [each.report for each in sorted(results, key=lambda each: each.case.name)]
    for name, path in files.items():
        if name == "json":
            path.write_text(json.dumps(document_of(examination, results), indent=2) + "\n", encoding="utf-8")
        elif name == "junit":
            from brokenreg.exam.junit import junit_xml

            path.write_bytes(junit_xml(reports))
        else:
            from brokenreg.exam.html_report import html_report

            path.write_text(html_report(reports, title="brokenreg exam", noun="case"), encoding="utf-8")


def _report(examination: Examination, results: Sequence[CaseResult], known: dict[str, Any]) -> int:
    """Print the table and the lines that repeat what went wrong, and return the exit status."""
    from brokenreg.exam.examination import worse

    bad = worse(results, known)
    for line in _summary(results, bad):
        click.echo(printable(line))
    if len(results) < len(examination.cases):
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
        yield f"  got {each.words}, want {' or '.join(each.case.about.good)}; to repeat this case:"
        yield f"    {each.report.repeat}"
