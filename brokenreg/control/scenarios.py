"""`/v1/scenario`: all rules of a namespace at once; `/v1/expectations`: what became of what it expects."""

from __future__ import annotations

import asyncio

from quart import Response

from brokenreg.control.problems import Problem
from brokenreg.control.routes import JSON, YAML, APIRequest, Route, json_response
from brokenreg.rules.expectations import Verdict
from brokenreg.rules.rule_book import RuleBook
from brokenreg.rules.scenario import (
    Scenario,
    ScenarioError,
    SourcedScenario,
    decode_scenario,
    scenario_of,
    write_scenario,
    written,
)
from brokenreg.runtime.runtime import Runtime

_SOURCE = "control API"
_EXAMPLE = '{"seed": 7, "rules": [{"fault": {"type": "error", "status": 503}, "times": 2}]}'


async def get_scenario(runtime: Runtime, request: APIRequest) -> Response:
    """Show the rules and expectations of the namespace as a scenario: YAML, or JSON if that is accepted."""
    book = runtime.rules.book(request.one_namespace())
    return await _response(book, request)


async def replace_scenario(runtime: Runtime, request: APIRequest) -> Response:
    """Put a scenario in the place of all rules and expectations of the namespace; a bad one changes nothing.
    YAML, or JSON with that Content-Type.
    """
    namespace = request.one_namespace()
    # A thousand rules take half a second to read.
    sourced = await asyncio.to_thread(_read, request)
    prepared = await asyncio.to_thread(runtime.rules.book(namespace).prepare, sourced)
    book = runtime.rules.book(namespace)  # a reset may have put another in its place meanwhile
    book.replace_all(sourced, prepared)
    return await _response(book, request)


async def list_expectations(runtime: Runtime, request: APIRequest) -> Response:
    """Tell which expectations of the scenario are met so far."""
    return json_response(runtime.rules.book(request.one_namespace()).expectations.verdicts())


def _read(request: APIRequest) -> SourcedScenario:
    """Raise `Problem` 400, or `FieldError`."""
    if request.content_type == JSON:
        scenario = scenario_of(request.document())
        return SourcedScenario(scenario, tuple(f"{_SOURCE}, rules[{n}]" for n in range(len(scenario.rules))))
    try:
        return decode_scenario(request.content, _SOURCE)
    except ScenarioError as error:
        raise Problem(400, str(error), field=error.field) from None


async def _response(book: RuleBook, request: APIRequest) -> Response:
    scenario = book.scenario()
    if JSON in request.accept:
        return json_response(await asyncio.to_thread(written, scenario))
    return Response(await asyncio.to_thread(write_scenario, scenario), content_type=YAML)


_BOTH = (YAML, JSON)
ROUTES = (
    Route("GET", "/v1/scenario", get_scenario, query=("namespace",), answer=Scenario, answer_types=_BOTH),
    Route(
        "PUT",
        "/v1/scenario",
        replace_scenario,
        query=("namespace",),
        body=Scenario,
        body_types=_BOTH,
        answer=Scenario,
        answer_types=_BOTH,
        example=_EXAMPLE,
    ),
    Route("GET", "/v1/expectations", list_expectations, query=("namespace",), answer=list[Verdict]),
)
