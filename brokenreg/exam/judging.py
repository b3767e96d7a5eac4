"""The verdicts of a run: those of the server, and those that only the run itself can give."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from brokenreg.client.documents import Exchange
from brokenreg.exam.client_process import ClientResult
from brokenreg.exam.exchange_numbers import number_of
from brokenreg.exam.report import Verdict
from brokenreg.oci.durations import format_duration
from brokenreg.rules.client_expectation import ClientExpectation
from brokenreg.traffic.matching import OR
from brokenreg.wording import counted

_NEAREST = 5
_FEW_NAMES = 3
_MOST_LINES = 10_000
"""Maximum number of lines of the output that are searched for one that matches."""


def verdict_of(document: Mapping[str, Any], exchanges: Sequence[Exchange]) -> Verdict:
    """Return a verdict of the server. If an unmet one names no exchanges, the newest ones are nearest."""
    nearest = document.get("nearest") or [number_of(each) for each in exchanges[-_NEAREST:]]
    name, subject = document["name"], document["filter"]
    return Verdict(
        name=f"{name}: {subject}" if name and name != subject else subject,
        kind=document.get("kind", "filter"),
        wanted=document["wanted"],
        got=str(document.get("got", document["seen"])),
        met=document["met"],
        is_suspected=document.get("is_suspected", False),
        nearest=() if document["met"] else tuple(nearest[:_NEAREST]),
        seen=document["seen"],
    )


def request_verdict(
    exchanges: Sequence[Exchange], elsewhere: Sequence[Exchange], namespace: str, *, has_tls: bool
) -> Verdict:
    """Return whether the client sent any request to the namespace of its run."""
    got = _never_asked(elsewhere, namespace, has_tls=has_tls)
    if exchanges:
        got = counted(len(exchanges), "request")
    return Verdict(
        name="the client sends requests",
        kind="requests",
        wanted="at least 1 request",
        got=got,
        met=bool(exchanges),
        nearest=() if exchanges else tuple(number_of(each) for each in elsewhere[-_NEAREST:]),
    )


def silence_verdicts(elsewhere: Sequence[Exchange]) -> Iterator[Verdict]:
    """Yield a verdict if a client that should send no request sent some outside of its namespace."""
    asked = [each for each in elsewhere if each["endpoint"] != "connect"]
    if asked:
        paths = list(dict.fromkeys(each["path"] for each in asked))[:_FEW_NAMES]
        got = f"{counted(len(asked), 'request')} outside of its namespace: {', '.join(paths)}"
        nearest = tuple(number_of(each) for each in asked[-_NEAREST:])
        yield Verdict("the client sends no request", "requests", "none", got, False, nearest=nearest)


def in_flight_verdicts(in_flight: Sequence[Exchange]) -> Iterator[Verdict]:
    """Yield a verdict if exchanges have not ended, because no expectation has counted those."""
    if in_flight:
        got = f"{counted(len(in_flight), 'exchange')} in flight after the client has ended"
        nearest = tuple(number_of(each) for each in in_flight[:_NEAREST])
        yield Verdict("all exchanges end", "requests", "none in flight", got, False, nearest=nearest)


def client_verdicts(wanted: ClientExpectation, result: ClientResult, timeout: float) -> Iterator[Verdict]:
    """Yield whether the client ended as expected, in time, and printed what it should."""
    limit = timeout if wanted.within is None else wanted.within
    if result.status is None or wanted.within is not None:
        took = format_duration(round(result.duration, 2))
        is_in_time = result.status is not None and result.duration <= limit
        got = f"still running after {took}" if result.status is None else took
        want = f"within {format_duration(limit)}"
        yield Verdict("the client ends in time", "client-within", want, got, is_in_time)
    if result.status is not None:
        want = _EXITS.get(wanted.exit, f"exit status {wanted.exit}")
        is_met = _is_exit(wanted.exit, result.status)
        yield Verdict("the client's exit status", "client-exit", want, _exit(result.status), is_met)
    if wanted.output is not None:
        text = result.output.strip("\r\n")
        is_met = _matches(text, wanted.output)
        lines = text.splitlines()[-_MOST_LINES:] or [""]
        telling = next((each for each in lines if is_met and _matches(each, wanted.output)), lines[-1])
        got = f'"{telling[:200]}"' if text else "nothing"
        more = f" (only its last bytes: {result.dropped} before them were not kept)" if result.dropped else ""
        yield Verdict("the client's output", "client-output", f'"{wanted.output}"', f"{got}{more}", is_met)


def _matches(text: str, globs: str) -> bool:
    return any(fnmatchcase(text, each) for each in globs.split(OR))


_EXITS = {"failure": "any exit status but 0", "any": "any exit status"}


def _is_exit(wanted: str, status: int) -> bool:
    return wanted == "any" or (status > 0 if wanted == "failure" else status == int(wanted))


def _exit(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"ended by signal {-status}"


def _never_asked(elsewhere: Sequence[Exchange], namespace: str, *, has_tls: bool) -> str:
    """Return that no request arrived, and which ones arrived outside of the namespace."""
    where = f"broken/in/{namespace}/..."
    if not elsewhere:
        return f"no request in its namespace, {where}: the client never asked, or it ignores {{image}}"
    asked = [each for each in elsewhere if each["endpoint"] != "connect"]
    if not asked:
        why = (
            "the client may not trust the certificate, see {ca_file}, or it does not use https://"
            if has_tls
            else "the client may use https://, but the registry has no TLS"
        )
        return f"{counted(len(elsewhere), 'connection')}, no request: {why}"
    paths = list(dict.fromkeys(each["path"] for each in asked))[:_FEW_NAMES]
    return (
        f"the client never asked for an image in its namespace, {where}, "
        f"but for {', '.join(paths)}: use {{image}}"
    )
