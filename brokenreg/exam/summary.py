"""The result of a run as text for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from brokenreg.client.exchange_text import line
from brokenreg.exam.report import RunReport, Verdict
from brokenreg.wording import counted, printable


def lines_of_report(report: RunReport) -> Iterator[str]:
    """Yield the lines of a scenario: its verdicts, and how to repeat what failed."""
    mark = "✓" if report.is_good else "✗"
    took = f"{report.duration:.1f}s"
    after = f"out of time after {took}" if report.is_out_of_time else took
    exchanges = counted(len(report.exchanges), "exchange")
    own = sum(bool(each["namespace"]) for each in report.exchanges)
    of_namespace = f", {own} in its namespace" if own < len(report.exchanges) else ""
    yield ""
    yield printable(f"{mark} {report.scenario}  ({after}, {exchanges}{of_namespace})")
    for verdict in report.verdicts:
        yield from _lines(report, verdict)
    if not report.is_good:
        yield f"  seed {report.seed}; to repeat this run:"
        yield f"    {printable(report.repeat)}"


def lines_of_total(reports: Sequence[RunReport], scenarios: int) -> Iterator[str]:
    """Yield how many scenarios are as expected, and how many have no verdict."""
    if scenarios > 1:
        good = sum(each.is_good for each in reports)
        missing = scenarios - len(reports)
        yield ""
        rest = f", {missing} without a verdict" if missing else ""
        yield f"{good} of {counted(scenarios, 'scenario')} as expected{rest}"


def _lines(report: RunReport, verdict: Verdict) -> Iterator[str]:
    mark = "✓" if verdict.met else "?" if verdict.is_suspected else "✗"
    yield printable(f"  {mark} {verdict.name}  got {verdict.got}, want {verdict.wanted}")
    for each in [] if verdict.met else report.nearest(verdict):
        yield f"      {line(each)}"
