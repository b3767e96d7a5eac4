"""`/v1/expectations` and `/v1/rules/{id}/verdict`: verdicts about the exchanges and rules of a namespace."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from itertools import islice

from quart import Response

from brokenreg.concurrency import paced
from brokenreg.control.routes import APIRequest, Route, json_response
from brokenreg.rules.expectation_counts import Expectations
from brokenreg.rules.expectations import Evidence, Expectation, ReplicaVerdict, Verdict
from brokenreg.rules.gathered_verdicts import DifferentRulesError, gathered_verdicts
from brokenreg.rules.rule_verdicts import RECENT, rule_verdicts
from brokenreg.runtime.errors import RefusedError
from brokenreg.runtime.lookups import find_rule, refresh_counts
from brokenreg.runtime.preparation import prepare_expectation
from brokenreg.runtime.runtime import Runtime
from brokenreg.second_origin.credential_trap import leaked_kinds
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.log import CAPACITY

_PATH = "/v1/expectations"
_SLICE = 100
"""Number of exchanges that are judged between two checks of the clock."""


async def list_expectations(runtime: Runtime, request: APIRequest) -> Response:
    """List the expectations and required rules of the scenario, and whether each one is met so far."""
    namespace = request.one_namespace()
    book = runtime.rules.book(namespace)
    await refresh_counts(runtime, book)
    verdicts = book.verdicts(_recent(runtime, namespace))
    if request.query.replica is None:
        return json_response(verdicts)
    evidence = book.expectations.evidence()
    evidence += [Evidence()] * (len(verdicts) - len(evidence))  # rules need none
    return json_response(
        [
            ReplicaVerdict(**dict(each), evidence=known, replicas=[request.query.replica] * len(each.nearest))
            for each, known in zip(verdicts, evidence, strict=True)
        ]
    )


async def merge_verdicts(runtime: Runtime, request: APIRequest, bodies: Mapping[str, bytes]) -> Response:
    """Return the verdicts about the exchanges of all replicas. Raise `RefusedError`."""
    columns = await asyncio.to_thread(_verdicts_in, [*bodies.values()])
    try:
        return json_response(gathered_verdicts(runtime.rules.book(request.one_namespace()), columns))
    except DifferentRulesError:
        raise RefusedError("the rules are being changed: try again") from None


def _verdicts_in(bodies: Sequence[bytes]) -> list[list[ReplicaVerdict]]:
    return [[ReplicaVerdict(**each) for each in json.loads(body)] for body in bodies]


async def judge_rule(runtime: Runtime, request: APIRequest) -> Response:
    """Return whether a rule was applied as often as its `times` says, or at least once; if not, why not."""
    namespace = request.one_namespace()
    rule = find_rule(runtime, namespace, request.id)
    await refresh_counts(runtime, [rule])
    return json_response(next(rule_verdicts([rule], _recent(runtime, namespace))))


async def judge_expectation(runtime: Runtime, request: APIRequest) -> Response:
    """Judge one expectation by the exchanges in the log that have ended.

    With `after`, only exchanges with a higher ID count, and the log must still have all of them.
    """
    after = request.query.after
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
    return json_response(judged.verdicts()[0])


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
        query=("namespace", "after"),
        body=Expectation,
        answer=Verdict,
        problems=(409,),
        reads=True,
        example='{"filter": "endpoint:manifest status:200", "count": 1}',
    ),
    Route(
        "GET",
        "/v1/rules/<int:id>/verdict",
        judge_rule,
        query=("namespace",),
        answer=Verdict,
        problems=(404,),
        parameters={"id": "id of the rule, as returned by POST /v1/rules"},
    ),
)
