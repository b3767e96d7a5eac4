"""`/v1/breakpoints`: filter expressions; every response that one matches is held once its head is ready."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from quart import Response

from brokenreg.control.problems import Problem
from brokenreg.control.routes import APIRequest, Route, json_response, no_content
from brokenreg.gate.breakpoints import Breakpoint
from brokenreg.rules.rule import FieldError
from brokenreg.runtime.runtime import Runtime
from brokenreg.traffic.filters import FilterError


class BreakpointBody(BaseModel):
    """What to hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    expression: str = Field(description="a filter expression, for instance endpoint:layer status:5xx")


class BreakpointState(BreakpointBody):
    """A breakpoint that is set."""

    id: int = Field(ge=1)


class BreakpointStates(BaseModel):
    """All breakpoints, in force or not."""

    model_config = ConfigDict(frozen=True)

    on: bool = Field(description="whether they hold anything")
    breakpoints: list[BreakpointState]


class Switch(BaseModel):
    """Whether breakpoints hold anything."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    on: bool


async def list_breaks(runtime: Runtime, request: APIRequest) -> Response:
    """List the breakpoints, of all namespaces."""
    return json_response(_all(runtime))


async def add_break(runtime: Runtime, request: APIRequest) -> Response:
    """Hold every response that a filter matches, once its head is ready; switches breakpoints on."""
    try:
        added = runtime.gate.breakpoints.add(request.model(BreakpointBody).expression)
    except FilterError as error:
        raise FieldError(("expression",), str(error)) from None
    return json_response(_state(added), 201)


async def switch_breaks(runtime: Runtime, request: APIRequest) -> Response:
    """Switch all breakpoints on or off; what is held stays held."""
    runtime.gate.breakpoints.are_on = request.model(Switch).on
    return json_response(_all(runtime))


async def clear_breaks(runtime: Runtime, request: APIRequest) -> Response:
    """Remove all breakpoints; what is held stays held."""
    runtime.gate.breakpoints.clear()
    return no_content()


async def delete_break(runtime: Runtime, request: APIRequest) -> Response:
    """Remove a breakpoint; what is held stays held."""
    if not runtime.gate.breakpoints.remove(request.path["id"]):
        raise Problem(404, f"there is no breakpoint {request.path['id']}; GET /v1/breakpoints lists them")
    return no_content()


def _state(each: Breakpoint) -> dict[str, Any]:
    return {"id": each.id, "expression": each.expression}


def _all(runtime: Runtime) -> dict[str, Any]:
    breakpoints = runtime.gate.breakpoints
    return {"on": breakpoints.are_on, "breakpoints": [_state(each) for each in breakpoints]}


ROUTES = (
    Route("GET", "/v1/breakpoints", list_breaks, answer=BreakpointStates),
    Route(
        "POST",
        "/v1/breakpoints",
        add_break,
        body=BreakpointBody,
        answer=BreakpointState,
        status=201,
        example='{"expression": "endpoint:layer status:2xx"}',
    ),
    Route(
        "PUT", "/v1/breakpoints", switch_breaks, body=Switch, answer=BreakpointStates, example='{"on": false}'
    ),
    Route("DELETE", "/v1/breakpoints", clear_breaks, status=204),
    Route(
        "DELETE",
        "/v1/breakpoints/<int:id>",
        delete_break,
        status=204,
        problems=(404,),
        parameters={"id": "as POST /v1/breakpoints answered"},
    ),
)
