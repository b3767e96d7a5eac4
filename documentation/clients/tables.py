"""The tables of the page: the clients, the outcomes, and a row for each case."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from brokenreg.exam.cases import SEED, Case, odd_images, of_profiles
from brokenreg.exam.outcomes import Outcome
from brokenreg.images.catalogue import CATALOGUE
from documentation.clients.matrix import Matrix
from documentation.clients.results import CaseResult
from documentation.markdown import code, table

CELLS = {
    Outcome.RECOVERED: "✓",
    Outcome.FAILED_CLEANLY: "✗",
    Outcome.GAVE_UP: "gave up",
    Outcome.RETRYING: "retrying",
    Outcome.LEAKED: "leaked",
    Outcome.ACCEPTED: "wrong bytes",
    Outcome.NOT_EXAMINED: "not reached",
}
"""How the outcomes with other names than their own are written in a row."""

_LOGIN = "a login"
_HARMLESS = "header"
"""The fault of a rule that only counts requests."""

_LONG = 2.0
_MANY = 30

MEANING = {
    Outcome.RECOVERED: "It ended with success, and what it kept is intact as far as that can be seen.",
    Outcome.FAILED_CLEANLY: "It ended with an error, in time.",
    Outcome.GAVE_UP: "It ended with an error, although another request would have helped.",
    Outcome.HAMMERED: "It sent more requests than the case allows, or sooner than `Retry-After` allows.",
    Outcome.CRASHED: "A signal ended it, or it printed a panic or a traceback.",
    Outcome.RETRYING: "It was still running at the time limit. Requests had failed, and none was in flight: "
    "it waited, as clients do before they try again.",
    Outcome.HUNG: "It was still running at the time limit, and waited for a response, or did nothing.",
    Outcome.SUSPECTED: "It ended with success, although it got nothing, a part, or only wrong bytes. No copy "
    "shows what it kept, so this is a suspicion.",
    Outcome.LEAKED: "It sent a credential to a host other than the registry. The case says to which.",
    Outcome.ACCEPTED: "It ended with success, and the bytes of its copy do not match their digest.",
    Outcome.NOT_EXAMINED: "It never sent the request that was to fail.",
}
"""What each outcome means. Others are described on the page that describes the exam."""


def outcomes_table(found: Matrix) -> Iterator[str]:
    """Yield how often each client had each outcome. Of those that are good, too, if it is in the case."""
    rows = []
    for outcome in Outcome:
        counts = [found.count(each, outcome) for each in found.clients]
        if any(counts):
            rows.append((str(outcome), *(str(each or "–") for each in counts)))
    rows.append(("**cases**", *(str(len(found.names(each))) for each in found.clients)))
    good = [sum(found.is_good(each, name) for name in found.names(each)) for each in found.clients]
    rows.append(("**good outcomes**", *map(str, good)))
    yield from table(("outcome", *found.clients), rows)


def cases_table(found: Matrix, cases: Sequence[Case]) -> Iterator[str]:
    """Yield a row for each case, with the columns of the clients that were examined in any of them."""
    columns = [each for each in found.clients if any(found.result(each, case.name) for case in cases)]
    rows = [
        (_about(case), *(cell(found, client, case.name) for client in columns))
        for case in cases
        if found.examined(case.name)
    ]
    yield from table(("case", *columns), rows)


def cell(found: Matrix, client: str, case: str) -> str:
    """Return what a client did. It is bold if that is not good."""
    result = found.result(client, case)
    if result is None:
        return ""
    said = f"{CELLS.get(result.outcome, result.outcome)}{_more(result)}"
    return said if found.is_good(client, case) else f"**{said}&nbsp;!**"


def _more(result: CaseResult) -> str:
    """Return how long it took, and how many requests, if that is remarkable."""
    notes = []
    if result.requests >= _MANY:
        notes.append(f"{result.counted_requests} requests")
    if result.exit is not None and result.duration >= _LONG:
        notes.append(f"{result.duration:.0f} s")
    return f" {', '.join(notes)}" if notes else ""


def _about(case: Case) -> str:
    summary = case.about.summary.replace("<", "&lt;")
    if parameters := _parameters(case):
        summary += f" Here with {code(parameters)}."
    return f"{_link(case, code(case.name))}<br>{summary}"


def _parameters(case: Case) -> str:
    """Return the parameters of an odd image that is not pulled with those that it has by default."""
    kind = case.name.removeprefix(odd_images.PREFIX)
    tag = str(case.document.get("client", {}).get("image", "")).partition(":")[2]
    return tag.removeprefix(kind).removesuffix(f"_seed-{SEED}").strip("_") if kind in CATALOGUE else ""


def _link(case: Case, text: str) -> str:
    """Return text with a link to the reference of what the case is about."""
    family, _, rest = case.name.partition("-")
    if f"{family}-" == odd_images.PREFIX and rest in CATALOGUE:
        return f"[{text}](../reference/images.md#{rest})"
    if f"{family}-" == of_profiles.PREFIX:
        return f"[{text}](../reference/profiles.md#{rest})"
    faults = _faults(case)
    return f"[{text}](../reference/faults.md#{faults[0]})" if faults else text


def _faults(case: Case) -> list[str]:
    """Return the names of the faults of a case, those that only require a login last."""
    rules: list[dict[str, Any]] = case.document.get("rules", [])
    ordered = sorted(rules, key=lambda each: each.get("name") == _LOGIN)
    found = [fault for each in ordered for fault in _as_list(each["fault"])]
    names = [str(each["type"] if isinstance(each, dict) else each) for each in found]
    return [each for each in names if each != _HARMLESS]


def _as_list(fault: Any) -> list[Any]:
    return fault if isinstance(fault, list) else [fault]
