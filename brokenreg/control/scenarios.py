"""`/v1/scenario`: all rules and expectations of a namespace. `/v1/expectations`: their verdicts."""

from __future__ import annotations

import asyncio
from functools import partial

from quart import Response

from brokenreg.control.routes import JSON, YAML, APIRequest, Route, json_response
from brokenreg.control.rules import SOURCE
from brokenreg.rules.expectations import Verdict
from brokenreg.rules.rule_book import RuleBook
from brokenreg.rules.scenario import (
    Scenario,
    SourcedScenario,
    decode_scenario,
    scenario_of,
    write_scenario,
    written,
)
from brokenreg.runtime import operations
from brokenreg.runtime.runtime import Runtime

_EXAMPLE = '{"seed": 7, "rules": [{"fault": {"type": "error", "status": 503}, "times": 2}]}'


async def get_scenario(runtime: Runtime, request: APIRequest) -> Response:
    """Show the rules and expectations of the namespace as a scenario: YAML, or JSON if that is accepted."""
    book = runtime.rules.book(request.one_namespace())
    return await _response(book, request)


async def replace_scenario(runtime: Runtime, request: APIRequest) -> Response:
    """Replace all rules and expectations of the namespace with a scenario; an invalid one changes nothing.
    It is YAML, or JSON with that Content-Type.
    """
    book = await operations.load_scenario(runtime, request.one_namespace(), partial(_read, request))
    return await _response(book, request)


async def list_expectations(runtime: Runtime, request: APIRequest) -> Response:
    """List the expectations of the scenario, and whether each is met so far."""
    return json_response(runtime.rules.book(request.one_namespace()).expectations.verdicts())


def _read(request: APIRequest) -> SourcedScenario:
    """Return the scenario in the body. Raise `Problem`, `FieldError` or `ScenarioError`."""
    if request.content_type == JSON:
        scenario = scenario_of(request.document())
        return SourcedScenario(scenario, tuple(f"{SOURCE}, rules[{n}]" for n in range(len(scenario.rules))))
    return decode_scenario(request.content, SOURCE)


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
