"""The outcome of a case: what the client did, in one or two words, from the report of its run."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from brokenreg.exam.crashes import crash_of
from brokenreg.exam.report import RunReport, Verdict
from brokenreg.exam.time_limit import at_the_limit
from brokenreg.wording import form_for, quoted


class Outcome(StrEnum):
    """What a client did in a case, from the best to the worst."""

    RECOVERED = "recovered"
    """It ended with status 0, and what it kept is intact as far as it can be seen."""
    FAILED_CLEANLY = "failed cleanly"
    """It ended with another status, in time."""
    GAVE_UP = "gave up too soon"
    """It failed, and sent fewer requests than its case asks for."""
    HAMMERED = "hammered"
    """It sent more requests than its case allows."""
    CRASHED = "crashed"
    """A signal ended it, or it printed what a runtime prints when a program crashes."""
    RETRYING = "still retrying"
    """Its time was up between two of its requests: it waited to send one again."""
    HUNG = "hung"
    """Its time was up while it waited for a response, or although no request of its own had failed."""
    SUSPECTED = "suspected"
    """It ended with status 0, although it, or the registry, got nothing, a part, or only wrong bytes."""
    LEAKED = "leaked a credential"
    """It sent a credential to the second origin."""
    ACCEPTED = "accepted wrong bytes"
    """What it kept does not match its digests."""
    NOT_EXAMINED = "not examined"
    """It never sent the request that was to fail."""


RANKS = {each: rank for rank, each in enumerate(Outcome)}
"""Which of two outcomes is worse: the one with the higher rank."""

_WITHOUT_CONTENT = ("ping", "token", "connect")


def outcome_of(report: RunReport) -> Outcome:
    """Return what the client of a run did."""
    unmet = [each for each in report.verdicts if not each.met]
    return next(_outcomes(report, unmet))


def _outcomes(report: RunReport, unmet: list[Verdict]) -> Iterator[Outcome]:
    """Yield the outcomes that are true of a run; the first one counts."""
    kinds = {each.kind for each in unmet}
    names = {each.name.partition(":")[0] for each in unmet}
    if "requests" in kinds and not report.exchanges:
        yield Outcome.NOT_EXAMINED
    if any(each.has_wrong_bytes for each in unmet):
        yield Outcome.ACCEPTED
    if "leaks" in kinds:
        yield Outcome.LEAKED
    if report.is_out_of_time and at_the_limit(report).has_hung:
        yield Outcome.HUNG
    if crash_of(report):
        yield Outcome.CRASHED
    if _never_applied(report):
        yield Outcome.NOT_EXAMINED
    has_gap = any(each.is_incomplete for each in unmet)
    is_incomplete = has_gap or "client-output" in kinds or not _got_anything(report)
    if any(each.is_suspected for each in unmet) or (report.exit == 0 and is_incomplete):
        yield Outcome.SUSPECTED
    if Outcome.HAMMERED in names:
        yield Outcome.HAMMERED
    if report.is_out_of_time:
        yield Outcome.RETRYING
    if report.exit == 0:
        yield Outcome.RECOVERED
    if Outcome.GAVE_UP in names:
        yield Outcome.GAVE_UP
    yield Outcome.FAILED_CLEANLY


def details_of(report: RunReport, outcome: Outcome) -> str:
    """Return what a report says about an outcome of its run, in a few words; perhaps an empty string."""
    unmet = [each for each in report.verdicts if not each.met]
    match outcome:
        case Outcome.NOT_EXAMINED:
            return _reason_unexamined(report)
        case Outcome.CRASHED:
            return crash_of(report)
        case Outcome.HUNG | Outcome.RETRYING:
            return at_the_limit(report).words
        case Outcome.LEAKED:
            return next((f"to another host: {each.got}" for each in unmet if each.kind == "leaks"), "")
        case Outcome.ACCEPTED:
            return next(each.got for each in unmet if each.has_wrong_bytes)
        case Outcome.SUSPECTED:
            return _suspicion(unmet)
    return ""


def _suspicion(unmet: list[Verdict]) -> str:
    """Return what is doubtful about a client that exited with 0."""
    for each in unmet:
        if each.is_incomplete or each.kind == "pushed":
            return each.got
        if each.kind == "client-output":
            return "exit status 0 without the output that was expected"
        if each.is_suspected:
            return "exit status 0, although it got a blob only with wrong bytes"
    return "exit status 0 without any content"


def _reason_unexamined(report: RunReport) -> str:
    """Return why a case was not examined: no request arrived, or a rule was never applied."""
    if not any(each["namespace"] for each in report.exchanges):
        return next((each.got for each in report.verdicts if each.kind == "requests" and not each.met), "")
    names = _never_applied(report)
    return f"never applied: {form_for(len(names), 'rule')} {', '.join(map(quoted, names))}"


def _never_applied(report: RunReport) -> list[str]:
    """Return the names of rules that were never applied. Of several with one name, it takes only one."""
    applied: dict[str, int] = {}
    for each in report.verdicts:
        if each.kind == "rule":
            name = each.name.partition(":")[0]
            applied[name] = applied.get(name, 0) + (each.seen or 0)
    return [name for name, count in applied.items() if not count]


def _got_anything(report: RunReport) -> bool:
    """Return whether a client got or pushed any content. A manifest alone is none: it only names content.

    For a list of referrers, a 404 is an answer: the registry has no such list, and the client looks at a tag.
    """
    return any(
        each["ended"] == "complete"
        and each["endpoint"] not in _WITHOUT_CONTENT
        and (each["endpoint"] != "manifest" or each["method"] == "PUT")
        and ((each["status"] or 0) < 300 or (each["endpoint"], each["status"]) == ("referrers", 404))
        for each in report.exchanges
    )
