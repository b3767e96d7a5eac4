"""The result of a run as text for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from brokenreg.client.exchange_text import line
from brokenreg.exam.report import RunReport, Verdict
from brokenreg.wording import counted, printable


def summary(reports: Sequence[RunReport]) -> Iterator[str]:
    """Yield the lines: each scenario with its verdicts, and how to repeat what failed."""
    for each in reports:
        mark = "✓" if each.is_good else "✗"
        after = f"out of time after {each.duration:.1f}s" if each.is_out_of_time else f"{each.duration:.1f}s"
        requests = counted(len(each.exchanges), "exchange")
        yield ""
        yield printable(f"{mark} {each.scenario}  ({after}, {requests})")
        for verdict in each.verdicts:
            yield from _lines(each, verdict)
        if not each.is_good:
            yield f"  seed {each.seed}; to repeat this run:"
            yield f"    {printable(each.repeat)}"
    if len(reports) > 1:
        good = sum(each.is_good for each in reports)
        yield ""
        yield f"{good} of {counted(len(reports), 'scenario')} as expected"


def _lines(report: RunReport, verdict: Verdict) -> Iterator[str]:
    mark = "✓" if verdict.met else "?" if verdict.is_suspected else "✗"
    yield printable(f"  {mark} {verdict.name}  got {verdict.got}, want {verdict.wanted}")
    for each in [] if verdict.met else report.nearest(verdict):
        yield f"      {line(each)}"
