"""`/v1/rules`: the rules of a namespace, in the order in which they are evaluated."""

from __future__ import annotations

from urllib.parse import urlencode

from pydantic import Field
from quart import Response

from brokenreg.control.routes import APIRequest, Route, json_list, json_response, no_content
from brokenreg.rules.active_rule import ActiveRule
from brokenreg.rules.rule import Rule, rule_of
from brokenreg.runtime import operations
from brokenreg.runtime.runtime import Runtime

SOURCE = "control API"
"""Where the rules come from that the control API adds."""

_STATE = ("id", "source", "matched", "applied")
_EXAMPLE = '{"fault": {"type": "truncate", "after": "64KiB", "end": "rst"}, "times": 2}'


class RuleState(Rule):
    """A rule in force."""

    id: int = Field(ge=1)
    source: str = Field(description="where it comes from, for instance `rules.yaml:12`")
    matched: int = Field(ge=0, description="number of exchanges that it matched")
    applied: int = Field(ge=0, description="number of exchanges to which its fault was applied")


def rule_state(active: ActiveRule) -> dict[str, object]:
    """Return a rule as `RuleState`, without the fields that have their default values."""
    return {
        "id": active.id,
        "source": active.source,
        "matched": active.matched,
        "applied": active.applied,
        **active.rule.written(),
    }


async def list_rules(runtime: Runtime, request: APIRequest) -> Response:
    """List the rules in the order in which they are evaluated, with their counters."""
    return await json_list(rule_state(active) for active in runtime.rules.book(request.one_namespace()))


async def add_rule(runtime: Runtime, request: APIRequest) -> Response:
    """Add a rule, to be evaluated last."""
    active = operations.add_rule(runtime, request.one_namespace(), _rule(request), SOURCE)
    query = f"?{urlencode({'namespace': request.namespace})}" if request.namespace else ""
    return json_response(rule_state(active), 201, {"location": f"/v1/rules/{active.id}{query}"})


async def clear_rules(runtime: Runtime, request: APIRequest) -> Response:
    """Remove all rules of the namespace."""
    operations.clear_rules(runtime, request.one_namespace())
    return no_content()


async def get_rule(runtime: Runtime, request: APIRequest) -> Response:
    """Show a rule with its counters."""
    active = operations.find_rule(runtime, request.one_namespace(), request.id)
    return json_response(rule_state(active))


async def replace_rule(runtime: Runtime, request: APIRequest) -> Response:
    """Replace a rule. Its counters start at 0. With `enabled: false`, the rule stays but is not evaluated."""
    namespace = request.one_namespace()
    active = operations.replace_rule(runtime, namespace, request.id, _rule(request), SOURCE)
    return json_response(rule_state(active))


async def delete_rule(runtime: Runtime, request: APIRequest) -> Response:
    """Remove a rule."""
    operations.remove_rule(runtime, request.one_namespace(), request.id)
    return no_content()


def _rule(request: APIRequest) -> Rule:
    """Return the rule in the body, which may be what a GET returned. Raise `FieldError` or `Problem`."""
    document = request.document()
    if isinstance(document, dict):
        document = {key: value for key, value in document.items() if key not in _STATE}
    return rule_of(document)


_ID = {"id": "the id that POST /v1/rules returned"}
ROUTES = (
    Route("GET", "/v1/rules", list_rules, query=("namespace",), answer=list[RuleState]),
    Route(
        "POST",
        "/v1/rules",
        add_rule,
        query=("namespace",),
        body=Rule,
        answer=RuleState,
        status=201,
        example=_EXAMPLE,
    ),
    Route("DELETE", "/v1/rules", clear_rules, query=("namespace",), status=204),
    Route(
        "GET",
        "/v1/rules/<int:id>",
        get_rule,
        query=("namespace",),
        answer=RuleState,
        problems=(404,),
        parameters=_ID,
    ),
    Route(
        "PUT",
        "/v1/rules/<int:id>",
        replace_rule,
        query=("namespace",),
        body=Rule,
        answer=RuleState,
        problems=(404,),
        parameters=_ID,
        example='{"fault": {"type": "error", "status": 503}, "enabled": false}',
    ),
    Route(
        "DELETE",
        "/v1/rules/<int:id>",
        delete_rule,
        query=("namespace",),
        status=204,
        problems=(404,),
        parameters=_ID,
    ),
)
