"""`/v1/rules` and `/v1/scenario`: rules and expectations of a namespace."""

from __future__ import annotations

import asyncio
from functools import partial
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, Field
from quart import Response

from brokenreg.control.routes import JSON, YAML, APIRequest, Route, json_list, json_response, no_content
from brokenreg.rules.active_rule import ActiveRule
from brokenreg.rules.rule import Rule, rule_of
from brokenreg.rules.rule_book import RuleBook
from brokenreg.rules.scenario import MAX_RULES, Scenario, SourcedScenario, scenario_of, written
from brokenreg.rules.scenario_text import decode_scenario, write_scenario
from brokenreg.runtime.lookups import find_rule, refresh_counts
from brokenreg.runtime.runtime import Runtime

SOURCE = "control API"
"""The source of rules that were added through the control API."""

_STATE = ("id", "source", "matched", "applied")
_EXAMPLE = '{"fault": {"type": "truncate", "after": "64KiB", "end": "rst"}, "times": 2}'
_DISABLED = '{"fault": {"type": "error", "status": 503}, "enabled": false}'


class RuleState(Rule):
    """A rule that is in effect, with its counters."""

    id: int = Field(ge=1)
    source: str = Field(description="where the rule is from, for example `rules.yaml:12`")
    matched: int = Field(ge=0, description="number of exchanges that the rule matched")
    applied: int = Field(ge=0, description="number of exchanges to which its fault was applied")


class RuleChange(BaseModel):
    """What to change in a rule that is in effect. What is missing stays as it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool | None = Field(None, description="whether the rule is evaluated")
    move_by: int = Field(
        0,
        ge=-MAX_RULES,
        le=MAX_RULES,
        description="by how many places to move the rule down (up if negative), among rules or overrides",
    )


def rule_state(active: ActiveRule) -> dict[str, object]:
    """Return a rule as a `RuleState` document, without fields that have their default values."""
    return {
        "id": active.id,
        "source": active.source,
        "matched": active.matched,
        "applied": active.applied,
        **active.rule.written(),
    }


async def list_rules(runtime: Runtime, request: APIRequest) -> Response:
    """List the rules in the order in which they are evaluated, with their counters."""
    book = runtime.rules.book(request.one_namespace())
    await refresh_counts(runtime, book)
    return await json_list(rule_state(active) for active in book)


async def add_rule(runtime: Runtime, request: APIRequest) -> Response:
    """Add a rule, to be evaluated last."""
    active = request.operations.add_rule(request.one_namespace(), _rule(request), SOURCE)
    query = f"?{urlencode({'namespace': request.namespace})}" if request.namespace else ""
    return json_response(rule_state(active), 201, {"location": f"/v1/rules/{active.id}{query}"})


async def clear_rules(runtime: Runtime, request: APIRequest) -> Response:
    """Remove all rules of the namespace."""
    request.operations.clear_rules(request.one_namespace())
    return no_content()


async def get_rule(runtime: Runtime, request: APIRequest) -> Response:
    """Return a rule with its counters."""
    active = find_rule(runtime, request.one_namespace(), request.id)
    await refresh_counts(runtime, [active])
    return json_response(rule_state(active))


async def replace_rule(runtime: Runtime, request: APIRequest) -> Response:
    """Replace a rule; its counters start at 0. With `enabled: false`, the rule stays but is not evaluated."""
    namespace = request.one_namespace()
    active = request.operations.replace_rule(namespace, request.id, _rule(request), SOURCE)
    return json_response(rule_state(active))


async def change_rule(runtime: Runtime, request: APIRequest) -> Response:
    """Enable, disable or move a rule, which keeps its counters."""
    namespace, change = request.one_namespace(), request.model(RuleChange)
    active = find_rule(runtime, namespace, request.id)
    if change.enabled is not None:
        request.operations.set_rule_enabled(namespace, active.id, enabled=change.enabled)
    if change.move_by:
        request.operations.move_rule(namespace, active.id, change.move_by)
    return json_response(rule_state(active))


async def delete_rule(runtime: Runtime, request: APIRequest) -> Response:
    """Remove a rule."""
    request.operations.remove_rule(request.one_namespace(), request.id)
    return no_content()


def _rule(request: APIRequest) -> Rule:
    """Return the rule in the body, which may be a document from GET. Raise `FieldError` or `APIError`."""
    document = request.document()
    if isinstance(document, dict):
        document = {key: value for key, value in document.items() if key not in _STATE}
    return rule_of(document)


async def get_scenario(runtime: Runtime, request: APIRequest) -> Response:
    """Return the rules and expectations of the namespace, in YAML, or in JSON if Accept requests JSON."""
    book = runtime.rules.book(request.one_namespace())
    return await _scenario_response(book, request)


async def replace_scenario(runtime: Runtime, request: APIRequest) -> Response:
    """Replace all rules and expectations of the namespace with a scenario.

    The scenario is YAML, or JSON if Content-Type says so. An invalid scenario changes nothing.
    """
    book = await request.operations.load_scenario(request.one_namespace(), partial(_scenario, request))
    return await _scenario_response(book, request)


def _scenario(request: APIRequest) -> SourcedScenario:
    """Return the scenario in the body. Raise `APIError`, `FieldError` or `ScenarioError`."""
    if request.content_type == JSON:
        scenario = scenario_of(request.document())
        return SourcedScenario(scenario, tuple(f"{SOURCE}, rules[{n}]" for n in range(len(scenario.rules))))
    return decode_scenario(request.content, SOURCE)


async def _scenario_response(book: RuleBook, request: APIRequest) -> Response:
    scenario = book.scenario()
    if JSON in request.accept:
        return json_response(await asyncio.to_thread(written, scenario))
    return Response(await asyncio.to_thread(write_scenario, scenario), content_type=YAML)


_BOTH = (YAML, JSON)
_RULES, _RULE = "/v1/rules", "/v1/rules/<int:id>"
_for_all = partial(Route, query=("namespace",))
_changing_all = partial(_for_all, is_shared=True)
_for_one = partial(
    _for_all, problems=(404,), parameters={"id": "id of the rule, as returned by POST /v1/rules"}
)
_changing_one = partial(_for_one, is_shared=True)
ROUTES = (
    _for_all("GET", _RULES, list_rules, answer=list[RuleState]),
    _changing_all("POST", _RULES, add_rule, body=Rule, answer=RuleState, status=201, example=_EXAMPLE),
    _changing_all("DELETE", _RULES, clear_rules, status=204),
    _for_one("GET", _RULE, get_rule, answer=RuleState),
    _changing_one("PUT", _RULE, replace_rule, body=Rule, answer=RuleState, example=_DISABLED),
    _changing_one(
        "PATCH", _RULE, change_rule, body=RuleChange, answer=RuleState, example='{"enabled": false}'
    ),
    _changing_one("DELETE", _RULE, delete_rule, status=204),
    _for_all("GET", "/v1/scenario", get_scenario, answer=Scenario, answer_types=_BOTH),
    _changing_all(
        "PUT",
        "/v1/scenario",
        replace_scenario,
        body=Scenario,
        body_types=_BOTH,
        answer=Scenario,
        answer_types=_BOTH,
        example='{"seed": 7, "rules": [{"fault": {"type": "error", "status": 503}, "times": 2}]}',
    ),
)
