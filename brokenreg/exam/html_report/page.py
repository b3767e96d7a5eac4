"""The whole page: a summary of all runs, then each run."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any

import jinja2

from brokenreg.exam.exchange_numbers import number_of
from brokenreg.exam.html_report.rows import Row, RuleRow, rows_of, rule_rows
from brokenreg.exam.html_report.safe_text import cut, terminal_output, visible
from brokenreg.exam.html_report.waterfall import scale_of, time_label
from brokenreg.exam.report import EXCHANGES, RunReport, Verdict
from brokenreg.oci.sizes import format_size
from brokenreg.wording import counted

_MOST_ROWS = 5000
_FEWEST_ROWS = 20
"""Maximum number of exchanges on the page, and how many of a run are shown if there are many runs."""

_MOST_NEAREST = 5


@dataclass(frozen=True, slots=True)
class RunView:
    """A run as the page shows it."""

    number: int
    report: RunReport
    rows: tuple[Row, ...]
    omitted: int
    """Number of exchanges that the page does not show."""

    ticks: tuple[tuple[float, str], ...]
    rules: tuple[RuleRow, ...]
    is_open: bool
    """Whether the exchanges are shown without a click."""

    @property
    def sign(self) -> str:
        return "✓" if self.report.is_good else "✗"

    @property
    def result(self) -> str:
        if self.report.is_out_of_time:
            return "out of time"
        return "as expected" if self.report.is_good else "not as expected"

    @property
    def unmet(self) -> list[Verdict]:
        return [each for each in self.report.verdicts if not each.met]

    @property
    def reason(self) -> str:
        """Return the first verdict that is not met, in one line."""
        if not self.unmet:
            return ""
        first, more = self.unmet[0], len(self.unmet) - 1
        also = f", and {counted(more, 'more failure')}" if more else ""
        return f"{cut(f'{first.name}: got {first.got}, want {first.wanted}', 300)}{also}"

    @property
    def exit(self) -> str:
        return "none: the time was up" if self.report.exit is None else str(self.report.exit)

    @property
    def exchanges(self) -> str:
        """Return the number of exchanges, at most the newest `EXCHANGES` of a namespace; `–` if unknown."""
        if self.report.lacks_exchanges:
            return "–"
        count = len(self.report.exchanges)
        return str(count) if count < EXCHANGES else f"the newest {count}"

    @property
    def output(self) -> str:
        return terminal_output(self.report.output)

    def anchor(self, number: int) -> str:
        """Return the id of an exchange on the page."""
        return f"run-{self.number}-exchange-{number}"

    def nearest(self, verdict: Verdict) -> list[int]:
        """Return the ids of exchanges that explain a verdict and that the page shows."""
        shown = {number_of(each.exchange) for each in self.rows}
        return [each for each in verdict.nearest if each in shown][:_MOST_NEAREST]


def html_report(
    reports: Sequence[RunReport],
    *,
    title: str = "brokenreg run",
    noun: str = "scenario",
    unfinished: str = "",
) -> str:
    """Return the page. `noun` is what a run is: a `scenario` or a `case`; `unfinished` is what is missing."""
    most = max(_FEWEST_ROWS, _MOST_ROWS // max(1, len(reports)))
    runs = [_view(number, each, most, len(reports)) for number, each in enumerate(reports, 1)]
    style = _text("report.css")
    return _template().render(
        title=title,
        noun=noun,
        runs=runs,
        by_result=sorted(runs, key=lambda each: each.report.is_good),
        is_good=all(each.is_good for each in reports) and not unfinished,
        headline="; ".join(filter(None, (_headline(runs, noun), unfinished))),
        style=style,
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        version=reports[0].version if reports else "",
        started=_moment(min((each.started for each in reports), default=0.0)),
        duration=time_label(sum(each.duration for each in reports)),
    )


def _headline(runs: Sequence[RunView], noun: str) -> str:
    if len(runs) == 1:
        return f"{cut(runs[0].report.scenario, 200)}: {runs[0].result}"
    everything, bad = counted(len(runs), noun), sum(not each.report.is_good for each in runs)
    return f"{bad} of {everything} not as expected" if bad else f"{everything} as expected"


def _view(number: int, report: RunReport, most: int, runs: int) -> RunView:
    nearest = {each for verdict in report.verdicts for each in verdict.nearest}
    ranked = sorted(report.exchanges, key=lambda each: number_of(each) not in nearest)[:most]
    shown = sorted(ranked, key=lambda each: number_of(each))
    scale = scale_of(shown)
    ids = {number_of(each) for each in shown}
    details = [each for each in report.details if number_of(each) in ids]
    return RunView(
        number=number,
        report=report,
        rows=tuple(rows_of(shown, details, scale)),
        omitted=len(report.exchanges) - len(shown),
        ticks=tuple(scale.ticks()),
        rules=tuple(rule_rows(details, report.rules)),
        is_open=runs == 1 or not report.is_good,
    )


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True,
        finalize=_shown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(cut=cut, seconds=time_label, size=format_size, counted=counted)
    return environment.from_string(_text("report.html"))


def _shown(value: Any) -> Any:
    """Return what a template inserts: text in which all characters are visible."""
    return visible(value) if type(value) is str else value


def _text(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
