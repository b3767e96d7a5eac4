"""`/v1/breaks`: filter expressions; every response that one matches is held once its head is ready."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from quart import Response

from brokenreg.control.problems import Problem
from brokenreg.control.routes import Ask, Route, json_response, no_content
from brokenreg.controlled import Controlled
from brokenreg.faults.breaks import Break
from brokenreg.faults.rules import FieldError
from brokenreg.traffic.filters import FilterError


class BreakBody(BaseModel):
    """What to hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    expression: str = Field(description="a filter expression, for instance endpoint:layer status:5xx")


class BreakState(BreakBody):
    """A break that is set."""

    id: int = Field(ge=1)


class BreakStates(BaseModel):
    """All breaks, in force or not."""

    model_config = ConfigDict(frozen=True)

    on: bool = Field(description="whether they hold anything")
    breaks: list[BreakState]


class Switch(BaseModel):
    """Whether breaks hold anything."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    on: bool


async def list_breaks(controlled: Controlled, ask: Ask) -> Response:
    """List the breaks, of all namespaces."""
    return json_response(_all(controlled))


async def add_break(controlled: Controlled, ask: Ask) -> Response:
    """Hold every response that a filter matches, once its head is ready; switches breaks on."""
    try:
        added = controlled.gate.breaks.add(ask.model(BreakBody).expression)
    except FilterError as error:
        raise FieldError(("expression",), str(error)) from None
    return json_response(_state(added), 201)


async def switch_breaks(controlled: Controlled, ask: Ask) -> Response:
    """Switch all breaks on or off; what is held stays held."""
    controlled.gate.breaks.are_on = ask.model(Switch).on
    return json_response(_all(controlled))


async def clear_breaks(controlled: Controlled, ask: Ask) -> Response:
    """Remove all breaks; what is held stays held."""
    controlled.gate.breaks.clear()
    return no_content()


async def delete_break(controlled: Controlled, ask: Ask) -> Response:
    """Remove a break; what is held stays held."""
    if not controlled.gate.breaks.remove(ask.path["id"]):
        raise Problem(404, f"there is no break {ask.path['id']}; GET /v1/breaks lists them")
    return no_content()


def _state(each: Break) -> dict[str, Any]:
    return {"id": each.id, "expression": each.expression}


def _all(controlled: Controlled) -> dict[str, Any]:
    breaks = controlled.gate.breaks
    return {"on": breaks.are_on, "breaks": [_state(each) for each in breaks]}


ROUTES = (
    Route("GET", "/v1/breaks", list_breaks, answer=BreakStates),
    Route(
        "POST",
        "/v1/breaks",
        add_break,
        body=BreakBody,
        answer=BreakState,
        status=201,
        example='{"expression": "endpoint:layer status:2xx"}',
    ),
    Route("PUT", "/v1/breaks", switch_breaks, body=Switch, answer=BreakStates, example='{"on": false}'),
    Route("DELETE", "/v1/breaks", clear_breaks, status=204),
    Route(
        "DELETE",
        "/v1/breaks/<int:id>",
        delete_break,
        status=204,
        problems=(404,),
        parameters={"id": "as POST /v1/breaks answered"},
    ),
)
