"""The outcome of a case: what the client did, in one or two words, from the report of its run."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from enum import StrEnum

from brokenreg.client.documents import Exchange
from brokenreg.exam.report import RunReport, Verdict
from brokenreg.oci.errors import ErrorCode
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
    HUNG = "hung"
    """It was still running when its time was up."""
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

_CRASH = re.compile(
    r"^(panic: |fatal error: |runtime error: |Traceback \(most recent call last\):"
    r"|thread '.*' panicked at |Segmentation fault|Exception in thread )",
    re.MULTILINE,
)
_CRASH_SIGNALS = {signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV}
_SHELL_SIGNALS = 128
"""A shell reports the end by a signal as 128 and its number."""

_DIGEST_PART = 12
_WITHOUT_CONTENT = ("ping", "token", "connect")
_CAUSES = re.compile(
    r"\b(EOF|reset by peer|timed? ?out|deadline exceeded|refused|certificate|malformed|unexpected end"
    r"|broken pipe)\b",
    re.IGNORECASE,
)


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
    if report.is_out_of_time:
        yield Outcome.HUNG
    if _has_crashed(report):
        yield Outcome.CRASHED
    if _never_applied(report):
        yield Outcome.NOT_EXAMINED
    has_gap = any(each.is_incomplete for each in unmet)
    is_incomplete = has_gap or "client-output" in kinds or not _got_anything(report)
    if any(each.is_suspected for each in unmet) or (report.exit == 0 and is_incomplete):
        yield Outcome.SUSPECTED
    if Outcome.HAMMERED in names:
        yield Outcome.HAMMERED
    if report.exit == 0:
        yield Outcome.RECOVERED
    if Outcome.GAVE_UP in names:
        yield Outcome.GAVE_UP
    yield Outcome.FAILED_CLEANLY


def clarity_of(report: RunReport) -> tuple[str, ...]:
    """Return what the words of a client that failed name: `status`, `code`, `digest` and `cause`."""
    faulted = [each for each in report.exchanges if each["faults"]]
    found = {
        "status": any(_names_status(report.output, each) for each in faulted),
        "code": any(
            each in report.output or each.replace("_", " ").lower() in report.output for each in ErrorCode
        ),
        "digest": any(_names_digest(report.output, each) for each in faulted),
        "cause": _CAUSES.search(report.output) is not None,
    }
    return tuple(name for name, is_named in found.items() if is_named)


def reason_unexamined(report: RunReport) -> str:
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
    """Return whether a client got or pushed any content. A manifest alone is none: it only names content."""
    return any(
        each["endpoint"] not in _WITHOUT_CONTENT
        and (each["endpoint"] != "manifest" or each["method"] == "PUT")
        and (each["status"] or 0) < 300
        and each["ended"] == "complete"
        for each in report.exchanges
    )


def _has_crashed(report: RunReport) -> bool:
    status = report.exit or 0
    number = -status if status < 0 else status - _SHELL_SIGNALS
    return number in _CRASH_SIGNALS or (status != 0 and _CRASH.search(report.output) is not None)


def _names_status(output: str, exchange: Exchange) -> bool:
    status = exchange["status"]
    return status is not None and status >= 400 and re.search(rf"\b{status}\b", output) is not None


def _names_digest(output: str, exchange: Exchange) -> bool:
    digest = exchange["reference"].partition(":")[2]
    return len(digest) >= _DIGEST_PART and digest[:_DIGEST_PART] in output
