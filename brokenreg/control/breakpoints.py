"""`/v1/breakpoints`: filter expressions; each response that one matches is held once its head is ready."""

from __future__ import annotations

from functools import partial

from pydantic import BaseModel, ConfigDict, Field
from quart import Response

from brokenreg.control.routes import APIRequest, Route, json_response, no_content
from brokenreg.gate.breakpoints import Breakpoint
from brokenreg.runtime.preparation import prepare_filter
from brokenreg.runtime.runtime import Runtime


class BreakpointBody(BaseModel):
    """The responses to hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    expression: str = Field(description="filter expression, for example `endpoint:layer status:5xx`")


class BreakpointState(BreakpointBody):
    """A breakpoint."""

    id: int = Field(ge=1)


class BreakpointStates(BaseModel):
    """All breakpoints."""

    model_config = ConfigDict(frozen=True)

    on: bool = Field(description="false if all breakpoints are disabled")
    breakpoints: list[BreakpointState]


class Switch(BaseModel):
    """Whether breakpoints are enabled."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    on: bool


async def list_breakpoints(runtime: Runtime, request: APIRequest) -> Response:
    """List all breakpoints."""
    return json_response(_all(runtime))


async def add_breakpoint(runtime: Runtime, request: APIRequest) -> Response:
    """Add a breakpoint, which holds every response that a filter matches, once its head is ready.

    This also enables all breakpoints.
    """
    expression = request.model(BreakpointBody).expression
    await prepare_filter(runtime.log, expression, stays=True)
    added = request.operations.add_breakpoint(expression)
    return json_response(_state(added), 201)


async def switch_breakpoints(runtime: Runtime, request: APIRequest) -> Response:
    """Enable or disable all breakpoints. Held responses stay held."""
    request.operations.set_breakpoints_enabled(enabled=request.model(Switch).on)
    return json_response(_all(runtime))


async def clear_breakpoints(runtime: Runtime, request: APIRequest) -> Response:
    """Remove all breakpoints. Held responses stay held."""
    request.operations.clear_breakpoints()
    return no_content()


async def delete_breakpoint(runtime: Runtime, request: APIRequest) -> Response:
    """Remove a breakpoint. Held responses stay held."""
    request.operations.remove_breakpoint(request.id)
    return no_content()


def _state(each: Breakpoint) -> BreakpointState:
    return BreakpointState(id=each.id, expression=each.expression)


def _all(runtime: Runtime) -> BreakpointStates:
    breakpoints = runtime.gate.breakpoints
    return BreakpointStates(on=breakpoints.are_on, breakpoints=[_state(each) for each in breakpoints])


_ALL = "/v1/breakpoints"
_ID = {"id": "id of the breakpoint, as returned by POST /v1/breakpoints"}
_changing = partial(Route, is_shared=True)
ROUTES = (
    Route("GET", _ALL, list_breakpoints, answer=BreakpointStates),
    _changing(
        "POST",
        _ALL,
        add_breakpoint,
        body=BreakpointBody,
        answer=BreakpointState,
        status=201,
        example='{"expression": "endpoint:layer status:2xx"}',
    ),
    _changing("PUT", _ALL, switch_breakpoints, body=Switch, answer=BreakpointStates, example='{"on": false}'),
    _changing("DELETE", _ALL, clear_breakpoints, status=204),
    _changing("DELETE", f"{_ALL}/<int:id>", delete_breakpoint, status=204, problems=(404,), parameters=_ID),
)
