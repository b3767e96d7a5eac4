"""The operations of the client: each function returns the request, and its type says what comes back.

The errors are those of the methods that `Operations` makes of the functions. In addition, every method
raises `UnreachableError`, `NotControlAPIError` or `UnauthorizedError` if the control API does not respond.
"""

from __future__ import annotations

from typing import Any

from brokenreg.client.call import Call
from brokenreg.client.documents import (
    Breakpoint,
    Breakpoints,
    Exchange,
    ExchangeDetail,
    Outcome,
    Repository,
    Rule,
    Status,
    Verdict,
)
from brokenreg.client.request_documents import Expectation, NewRule

YAML = "application/yaml"
_BREAKPOINTS = "/v1/breakpoints"
_REPOSITORIES = "/v1/repositories"


def status(*, replica: str | None = None) -> Call[Status]:
    """Return the version, addresses and counters of the server.

    `replica` is the replica of the fleet that is described. With `*`, `replicas` has the status of each one.
    Raise `ProblemError` if a replica does not respond.
    """
    return Call("GET", "/v1/status", query={"replica": replica})


def reset(namespace: str | None = None) -> Call[None]:
    """Restore the initial rules; clear counters and ended exchanges. Images stay.

    Without a namespace, also remove all breakpoints.
    """
    return Call("POST", "/v1/reset", namespace)


def load_scenario(text: str | bytes, namespace: str | None = None) -> Call[str]:
    """Replace all rules and expectations with a scenario in YAML, and return it as the server has it.

    Raise `UsageError` for an invalid one, which changes nothing.
    """
    content = text.encode() if isinstance(text, str) else text
    return Call("PUT", "/v1/scenario", namespace, content=content, media_type=YAML, accept=YAML)


def scenario(namespace: str | None = None) -> Call[str]:
    """Return the rules and expectations as a scenario in YAML."""
    return Call("GET", "/v1/scenario", namespace, accept=YAML)


def verdicts(namespace: str | None = None, *, replica: str | None = None) -> Call[list[Verdict]]:
    """Return the expectations of the scenario, and whether each one is met so far.

    In a fleet, the exchanges of all replicas count, or those of `replica`. Raise `ProblemError` if a replica
    does not respond.
    """
    return Call("GET", "/v1/expectations", namespace, {"replica": replica})


def judge(
    expectation: Expectation,
    namespace: str | None = None,
    *,
    after: int | str | None = None,
    replica: str | None = None,
) -> Call[Verdict]:
    """Return the verdict of an expectation about the exchanges so far: `{"filter": "status:5xx"}`.

    Raise `UsageError` for an invalid one. With `after`, only exchanges with a higher ID count. If the log no
    longer has all of them, raise `ProblemError`. In a fleet, the exchanges of all replicas count, or those of
    `replica`. `after` then has an id for each replica: `1f0a93c2/17,0b12c3d4/20`.
    """
    query = {"after": after, "replica": replica}
    return Call("POST", "/v1/expectations", namespace, query, json=dict(expectation))


def rules(namespace: str | None = None) -> Call[list[Rule]]:
    """Return the rules in the order in which they are evaluated, with their counters."""
    return Call("GET", "/v1/rules", namespace)


def judge_rule(id: int, namespace: str | None = None, *, replica: str | None = None) -> Call[Verdict]:
    """Return whether a rule was applied as often as its `times` says, or at least once; if not, why not.

    In a fleet, what all replicas have counted, or what `replica` has. Raise `MissingError`.
    """
    return Call("GET", f"/v1/rules/{id}/verdict", namespace, {"replica": replica})


def add_rule(rule: NewRule, namespace: str | None = None) -> Call[Rule]:
    """Add a rule, to be evaluated last: `{"fault": faults.error(status=503), "times": 2}`.

    Raise `UsageError` for an invalid one.
    """
    return Call("POST", "/v1/rules", namespace, json=dict(rule))


def replace_rule(id: int, rule: NewRule, namespace: str | None = None) -> Call[Rule]:
    """Replace a rule. Its counters start at 0. Raise `MissingError`, or `UsageError` for an invalid rule."""
    return Call("PUT", f"/v1/rules/{id}", namespace, json=dict(rule))


def change_rule(
    id: int, namespace: str | None = None, *, enabled: bool | None = None, move_by: int = 0
) -> Call[Rule]:
    """Enable, disable or move a rule, which keeps its counters. Raise `MissingError`.

    `move_by` is how many places it moves down, or up if negative, among the rules or the overrides.
    """
    change = {} if enabled is None else {"enabled": enabled}
    return Call("PATCH", f"/v1/rules/{id}", namespace, json={**change, "move_by": move_by})


def remove_rule(id: int, namespace: str | None = None) -> Call[None]:
    """Remove a rule. Raise `MissingError`."""
    return Call("DELETE", f"/v1/rules/{id}", namespace)


def clear_rules(namespace: str | None = None) -> Call[None]:
    """Remove all rules of the namespace."""
    return Call("DELETE", "/v1/rules", namespace)


def exchanges(
    filter: str | None = None,
    namespace: str | None = None,
    *,
    limit: int | None = None,
    after: int | str | None = None,
    replica: str | None = None,
) -> Call[list[Exchange]]:
    """Return the newest exchanges that match the filter, oldest first, at most `limit` (1000).

    In a fleet, those of all replicas, or of `replica`. With `after`, only exchanges with a higher ID: the
    number at the replica that responds, or `1f0a93c2/17,0b12c3d4/20`. Raise `UsageError` for an invalid
    filter, or `ProblemError` if a replica does not respond.
    """
    query = {"filter": filter, "limit": limit, "after": after, "replica": replica}
    return Call("GET", "/v1/exchanges", namespace, query)


def exchange(id: int, namespace: str | None = None, *, replica: str | None = None) -> Call[ExchangeDetail]:
    """Return an exchange with headers and timeline, of the named replica of the fleet if there is one.

    Raise `MissingError`.
    """
    return Call("GET", f"/v1/exchanges/{id}", namespace, {"replica": replica})


def har(
    filter: str | None = None, namespace: str | None = None, *, replica: str | None = None
) -> Call[dict[str, Any]]:
    """Return the newest exchanges that match the filter as HAR 1.2. Raise `UsageError`.

    In a fleet, those of all replicas, or of `replica`.
    """
    return Call("GET", "/v1/exchanges.har", namespace, {"filter": filter, "replica": replica})


def hold(
    id: int, at: str | None = None, namespace: str | None = None, *, replica: str | None = None
) -> Call[Exchange]:
    """Hold an exchange in flight: where it is, before its `headers`, or after a number of bytes.

    `replica` is the replica of the fleet that has it. Raise `MissingError`, or `ProblemError` if it is not in
    flight.
    """
    return Call(
        "POST",
        f"/v1/exchanges/{id}/hold",
        namespace,
        {"replica": replica},
        json={} if at is None else {"at": at},
    )


def resume(id: int, namespace: str | None = None, *, replica: str | None = None) -> Call[Exchange]:
    """Resume a held exchange. Raise `MissingError`, or `ProblemError` if it is not held."""
    return Call("POST", f"/v1/exchanges/{id}/resume", namespace, {"replica": replica}, json={})


def step(
    id: int, bytes: str | int = "64KiB", namespace: str | None = None, *, replica: str | None = None
) -> Call[Exchange]:
    """Send some bytes of a held exchange, then hold it again.

    Raise `MissingError`, or `ProblemError` if it is not held.
    """
    return Call("POST", f"/v1/exchanges/{id}/step", namespace, {"replica": replica}, json={"bytes": bytes})


def abort(
    id: int, status: int | None = None, namespace: str | None = None, *, replica: str | None = None
) -> Call[Exchange]:
    """Abort a held exchange: with an error status, or by a reset of its connection.

    Raise `MissingError`, or `ProblemError` if it is not held or its headers were sent.
    """
    return Call(
        "POST", f"/v1/exchanges/{id}/abort", namespace, {"replica": replica}, json=_with_status(status)
    )


def resume_all(
    filter: str | None = None, namespace: str | None = None, *, replica: str | None = None
) -> Call[Outcome]:
    """Resume all held exchanges that match the filter. Raise `UsageError` for an invalid filter.

    In a fleet, those of all replicas, or of `replica`.
    """
    return Call("POST", "/v1/resume", namespace, {"filter": filter, "replica": replica}, json={})


def step_all(
    bytes: str | int = "64KiB",
    filter: str | None = None,
    namespace: str | None = None,
    *,
    replica: str | None = None,
) -> Call[Outcome]:
    """Send some bytes of all held exchanges that match the filter, then hold them again.

    Raise `UsageError` for an invalid filter or size.
    """
    return Call("POST", "/v1/step", namespace, {"filter": filter, "replica": replica}, json={"bytes": bytes})


def abort_all(
    status: int | None = None,
    filter: str | None = None,
    namespace: str | None = None,
    *,
    replica: str | None = None,
) -> Call[Outcome]:
    """Abort all held exchanges that match the filter, as `abort` does.

    Raise `UsageError` for an invalid filter or status.
    """
    return Call(
        "POST", "/v1/abort", namespace, {"filter": filter, "replica": replica}, json=_with_status(status)
    )


def repositories(namespace: str | None = None) -> Call[list[Repository]]:
    """Return the repositories of the namespace that have content."""
    return Call("GET", _REPOSITORIES, namespace)


def delete_repository(name: str, namespace: str | None = None) -> Call[None]:
    """Delete all manifests and tags of a repository, and remove its blobs from it.

    Raise `MissingError`, or `ProblemError` if the storage does not allow it.
    """
    return Call("DELETE", f"{_REPOSITORIES}/{name}", namespace)


def breakpoints() -> Call[Breakpoints]:
    """Return all breakpoints."""
    return Call("GET", _BREAKPOINTS, is_global=True)


def add_breakpoint(expression: str) -> Call[Breakpoint]:
    """Hold every response that a filter expression matches. This also enables all breakpoints.

    Raise `UsageError` for an invalid expression.
    """
    return Call("POST", _BREAKPOINTS, json={"expression": expression}, is_global=True)


def switch_breakpoints(*, on: bool) -> Call[Breakpoints]:
    """Enable or disable all breakpoints. Held responses stay held."""
    return Call("PUT", _BREAKPOINTS, json={"on": on}, is_global=True)


def remove_breakpoint(id: int) -> Call[None]:
    """Remove a breakpoint. Held responses stay held. Raise `MissingError`."""
    return Call("DELETE", f"{_BREAKPOINTS}/{id}", is_global=True)


def clear_breakpoints() -> Call[None]:
    """Remove all breakpoints. Held responses stay held."""
    return Call("DELETE", _BREAKPOINTS, is_global=True)


def _with_status(status: int | None) -> dict[str, int]:
    return {} if status is None else {"status": status}
