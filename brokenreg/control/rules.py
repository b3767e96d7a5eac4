"""`/v1/rules`: the rules of a namespace, in the order in which they are asked."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from pydantic import Field
from quart import Response

from brokenreg.control.problems import Problem
from brokenreg.control.routes import APIRequest, Route, json_list, json_response, no_content
from brokenreg.rules.active_rule import ActiveRule
from brokenreg.rules.rule import Rule, rule_of
from brokenreg.runtime.runtime import Runtime

_SOURCE = "control API"
_COUNTED = ("id", "source", "matched", "applied")
_EXAMPLE = '{"fault": {"type": "truncate", "after": "64KiB", "end": "rst"}, "times": 2}'


class RuleState(Rule):
    """A rule in force."""

    id: int = Field(ge=1)
    source: str = Field(description="where it came from, for instance `rules.yaml:12`")
    matched: int = Field(ge=0, description="exchanges that it matched")
    applied: int = Field(ge=0, description="exchanges that it struck")


def state_of(active: ActiveRule) -> dict[str, Any]:
    """As `RuleState`; of the rule itself what differs from the defaults."""
    return {
        "id": active.id,
        "source": active.source,
        "matched": active.matched,
        "applied": active.applied,
        **active.rule.written(),
    }


async def list_rules(runtime: Runtime, request: APIRequest) -> Response:
    """List the rules, in the order in which they are asked, and what they counted."""
    return await json_list(state_of(active) for active in runtime.rules.book(request.one_namespace()))


async def add_rule(runtime: Runtime, request: APIRequest) -> Response:
    """Add a rule, to be asked last."""
    rule = _rule(request)
    active = runtime.rules.book(request.one_namespace()).add(rule, _SOURCE)
    query = f"?{urlencode({'namespace': request.namespace})}" if request.namespace else ""
    return json_response(state_of(active), 201, {"location": f"/v1/rules/{active.id}{query}"})


async def clear_rules(runtime: Runtime, request: APIRequest) -> Response:
    """Remove all rules of the namespace."""
    runtime.rules.book(request.one_namespace()).clear()
    return no_content()


async def get_rule(runtime: Runtime, request: APIRequest) -> Response:
    """Show a rule and what it counted."""
    active = runtime.rules.book(request.one_namespace()).get(request.path["id"])
    if active is None:
        raise _unknown(request)
    return json_response(state_of(active))


async def replace_rule(runtime: Runtime, request: APIRequest) -> Response:
    """Put another rule in its place; its counts begin anew. `enabled: false` keeps it and asks it no more."""
    rule = _rule(request)
    active = runtime.rules.book(request.one_namespace()).replace(request.path["id"], rule, _SOURCE)
    if active is None:
        raise _unknown(request)
    return json_response(state_of(active))


async def delete_rule(runtime: Runtime, request: APIRequest) -> Response:
    """Remove a rule."""
    if not runtime.rules.book(request.one_namespace()).remove(request.path["id"]):
        raise _unknown(request)
    return no_content()


def _rule(request: APIRequest) -> Rule:
    """What a GET gave may be sent back: the counts in it are left out. Raise `FieldError` or `Problem`."""
    document = request.document()
    if isinstance(document, dict):
        document = {key: value for key, value in document.items() if key not in _COUNTED}
    return rule_of(document)


def _unknown(request: APIRequest) -> Problem:
    return Problem(
        404,
        f"there is no rule {request.path['id']} in this namespace; "
        "`brokenreg rules list` (GET /v1/rules) lists them",
    )


_ID = {"id": "as POST /v1/rules answered"}
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
