"""`/v1/expectations` and `/v1/rules/{id}/verdict`: verdicts about the exchanges and rules of a namespace."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from itertools import islice

from quart import Response

from brokenreg.concurrency import paced
from brokenreg.control.routes import APIRequest, Route, json_response
from brokenreg.rules.active_rule import ActiveRule
from brokenreg.rules.expectation_counts import Expectations
from brokenreg.rules.expectations import Evidence, Expectation, ReplicaVerdict, Verdict
from brokenreg.rules.gathered_verdicts import DifferentRulesError, gathered_verdict, gathered_verdicts
from brokenreg.rules.rule_verdicts import RECENT, rule_verdicts
from brokenreg.runtime.errors import RefusedError
from brokenreg.runtime.lookups import find_rule, refresh_counts
from brokenreg.runtime.preparation import prepare_expectation
from brokenreg.runtime.runtime import Runtime
from brokenreg.second_origin.credential_trap import leaked_kinds
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.log import CAPACITY

_PATH = "/v1/expectations"
_CHANGING = "the rules are being changed: try again"
_SLICE = 100
"""Number of exchanges that are judged between two checks of the clock."""


async def list_expectations(runtime: Runtime, request: APIRequest) -> Response:
    """List the expectations and required rules of the scenario, and whether each one is met so far."""
    namespace = request.one_namespace()
    book = runtime.rules.book(namespace)
    await refresh_counts(runtime, book)
    verdicts = book.verdicts(_recent(runtime, namespace))
    evidence = book.expectations.evidence()
    evidence += [Evidence()] * (len(verdicts) - len(evidence))  # rules need none
    return json_response([_at_replica(request, *each) for each in zip(verdicts, evidence, strict=True)])


def _at_replica(request: APIRequest, verdict: Verdict, evidence: Evidence) -> Verdict:
    """Return a verdict, with the evidence that `replica=*` needs if the request names a replica."""
    replica = request.query.replica
    if replica is None:
        return verdict
    return ReplicaVerdict(**dict(verdict), evidence=evidence, replicas=[replica] * len(verdict.nearest))


async def merge_verdicts(runtime: Runtime, request: APIRequest, bodies: Mapping[str, bytes]) -> Response:
    """Return the verdicts about the exchanges of all replicas. Raise `RefusedError`."""
    columns = await asyncio.to_thread(_verdicts_in, [*bodies.values()])
    try:
        return json_response(gathered_verdicts(runtime.rules.book(request.one_namespace()), columns))
    except DifferentRulesError:
        raise RefusedError(_CHANGING) from None


def _verdicts_in(bodies: Sequence[bytes]) -> list[list[ReplicaVerdict]]:
    return [[ReplicaVerdict(**each) for each in json.loads(body)] for body in bodies]


async def judge_rule(runtime: Runtime, request: APIRequest) -> Response:
    """Return whether a rule was applied as often as its `times` says, or at least once; if not, why not."""
    namespace = request.one_namespace()
    rule = find_rule(runtime, namespace, request.id)
    await refresh_counts(runtime, [rule])
    verdict = next(rule_verdicts([rule], _recent(runtime, namespace)))
    return json_response(_at_replica(request, verdict, Evidence()))


async def merge_rule_verdict(runtime: Runtime, request: APIRequest, bodies: Mapping[str, bytes]) -> Response:
    """Return whether a rule was applied often enough, at all replicas together. Raise `RefusedError`."""
    return _merged(find_rule(runtime, request.one_namespace(), request.id), bodies)


async def merge_verdict(runtime: Runtime, request: APIRequest, bodies: Mapping[str, bytes]) -> Response:
    """Return the verdict of one expectation about the exchanges of all replicas."""
    del runtime
    return _merged(request.model(Expectation), bodies)


def _merged(subject: Expectation | ActiveRule, bodies: Mapping[str, bytes]) -> Response:
    try:
        return json_response(
            gathered_verdict(subject, [ReplicaVerdict(**json.loads(body)) for body in bodies.values()])
        )
    except DifferentRulesError:
        raise RefusedError(_CHANGING) from None


async def judge_expectation(runtime: Runtime, request: APIRequest) -> Response:
    """Judge one expectation by the exchanges in the log that have ended.

    With `after`, only exchanges with a higher ID count, and the log must still have all of them.
    """
    after = request.after
    if after and runtime.log.newest_dropped > after:
        raise RefusedError(
            f"the log no longer has all exchanges after {after}: it keeps {CAPACITY:,}, within --log-memory"
        )
    judged, expectation = Expectations(), request.model(Expectation)
    judged.load([expectation])
    await prepare_expectation(runtime.log, expectation)
    async for exchange in paced(list(runtime.log), check_every=_SLICE):
        if exchange.id > after and exchange.ended is not None and request.concerns(exchange):
            judged.observe(exchange)
            for kind in leaked_kinds(exchange):
                judged.leaked(exchange, kind)
    evidence = judged.evidence() or [Evidence()]
    return json_response(_at_replica(request, judged.verdicts()[0], evidence[0]))


def _recent(runtime: Runtime, namespace: str) -> list[Exchange]:
    """Return the newest exchanges of a namespace, oldest first."""
    newest = (each for each in runtime.log.newest(CAPACITY) if each.target.namespace == namespace)
    return [*islice(newest, RECENT)][::-1]


ROUTES = (
    Route(
        "GET",
        _PATH,
        list_expectations,
        query=("namespace", "replica"),
        answer=list[ReplicaVerdict],
        problems=(404, 409, 504),
        merge=merge_verdicts,
    ),
    Route(
        "POST",
        _PATH,
        judge_expectation,
        query=("namespace", "after", "replica"),
        body=Expectation,
        answer=ReplicaVerdict,
        problems=(404, 409, 504),
        merge=merge_verdict,
        reads=True,
        example='{"filter": "endpoint:manifest status:200", "count": 1}',
    ),
    Route(
        "GET",
        "/v1/rules/<int:id>/verdict",
        judge_rule,
        query=("namespace", "replica"),
        answer=ReplicaVerdict,
        problems=(404, 409, 504),
        merge=merge_rule_verdict,
        parameters={"id": "id of the rule, as returned by POST /v1/rules"},
    ),
)
