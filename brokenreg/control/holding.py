"""Holding: `/v1/exchanges/{id}/hold|resume|step|abort` for one exchange, `/v1/resume|step|abort` for many."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field
from quart import Response

from brokenreg.control.exchanges import ExchangeSummary, find
from brokenreg.control.routes import APIRequest, Route, json_response
from brokenreg.faults.catalogue.parameters import HeadersOrSize, Size
from brokenreg.gate.edits import EditableHead, HeadError
from brokenreg.gate.passage import HEADERS, STEP, Abort, Order, Resume, Step
from brokenreg.rules.rule import FieldError
from brokenreg.runtime.runtime import Runtime


class HoldBody(BaseModel):
    """Where to hold an exchange."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: HeadersOrSize | None = Field(None, description="`headers`, or bytes of the body; absent: where it is")


class StepBody(BaseModel):
    """How far to let a held exchange go on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bytes: Size = Field(STEP, ge=1, description="of the body; the headers, if they still wait, go as well")


class AbortBody(BaseModel):
    """How to end a held exchange."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: int | None = Field(
        None, ge=400, le=599, description="answer that error, while the headers wait; absent: reset"
    )


class EditBody(BaseModel):
    """What to send instead of the status and headers that wait."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: int | None = Field(None, description="absent: as it is")
    headers: list[tuple[str, str]] | None = Field(
        None, description="name and value, all that there shall be; absent: as they are", max_length=1000
    )


class Concerned(BaseModel):
    """The exchanges that an order was carried out on."""

    model_config = ConfigDict(frozen=True)

    exchanges: list[int] = Field(description="their ids")
    skipped: list[int] = Field(description="held ones left alone: no status can be sent after the headers")


async def hold_exchange(runtime: Runtime, request: APIRequest) -> Response:
    """Hold an exchange in flight: where it is, or further on."""
    at = request.model(HoldBody).at
    exchange = find(runtime, request)
    runtime.gate.hold(exchange.id, "the control API", HEADERS if at == "headers" else at)
    return json_response(exchange.summary())


async def resume_exchange(runtime: Runtime, request: APIRequest) -> Response:
    """Let a held exchange go on to its end."""
    return _carry_out(runtime, request, _resume(request))


async def step_exchange(runtime: Runtime, request: APIRequest) -> Response:
    """Let a held exchange go on by some bytes, and stop again."""
    return _carry_out(runtime, request, _step(request))


async def abort_exchange(runtime: Runtime, request: APIRequest) -> Response:
    """End a held exchange: with a reset, or an error status."""
    return _carry_out(runtime, request, _abort(request))


async def edit_exchange(runtime: Runtime, request: APIRequest) -> Response:
    """Change status or headers of an exchange that is held before them. It stays held."""
    body = request.model(EditBody)
    exchange = find(runtime, request)
    waiting = runtime.gate.head(exchange.id)
    try:
        head = EditableHead(
            waiting.status if body.status is None else body.status,
            waiting.headers if body.headers is None else tuple(body.headers),
        )
        runtime.gate.edit(exchange.id, head)
    except HeadError as error:
        raise FieldError((error.field,), str(error)) from None
    return json_response(exchange.summary())


async def resume_all(runtime: Runtime, request: APIRequest) -> Response:
    """Let all held exchanges go on, or those that a filter matches."""
    return _carry_out_on_all(runtime, request, _resume(request))


async def step_all(runtime: Runtime, request: APIRequest) -> Response:
    """Let all held exchanges go on by some bytes, or those that a filter matches."""
    return _carry_out_on_all(runtime, request, _step(request))


async def abort_all(runtime: Runtime, request: APIRequest) -> Response:
    """End all held exchanges, or those that a filter matches."""
    return _carry_out_on_all(runtime, request, _abort(request))


class Nothing(BaseModel):
    """An order that needs no more words."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _resume(request: APIRequest) -> Order:
    request.model(Nothing)
    return Resume()


def _step(request: APIRequest) -> Order:
    return Step(request.model(StepBody).bytes)


def _abort(request: APIRequest) -> Order:
    return Abort(request.model(AbortBody).status)


def _carry_out(runtime: Runtime, request: APIRequest, order: Order) -> Response:
    exchange = find(runtime, request)
    runtime.gate.order(exchange.id, order)
    return json_response(exchange.summary())


def _carry_out_on_all(runtime: Runtime, request: APIRequest, order: Order) -> Response:
    done, skipped = runtime.gate.order_all(order, request.filtered())
    return json_response(
        {"exchanges": [exchange.id for exchange in done], "skipped": [exchange.id for exchange in skipped]}
    )


_ID = {"id": "as GET /v1/exchanges tells it"}
_WHICH = ("namespace", "filter")
ROUTES = (
    Route(
        "POST",
        "/v1/exchanges/<int:id>/hold",
        hold_exchange,
        query=("namespace",),
        body=HoldBody,
        answer=ExchangeSummary,
        problems=(404, 409),
        parameters=_ID,
        example='{"at": "1MiB"}',
    ),
    Route(
        "POST",
        "/v1/exchanges/<int:id>/resume",
        resume_exchange,
        query=("namespace",),
        body=Nothing,
        answer=ExchangeSummary,
        problems=(404, 409),
        parameters=_ID,
    ),
    Route(
        "POST",
        "/v1/exchanges/<int:id>/step",
        step_exchange,
        query=("namespace",),
        body=StepBody,
        answer=ExchangeSummary,
        problems=(404, 409),
        parameters=_ID,
        example='{"bytes": "64KiB"}',
    ),
    Route(
        "POST",
        "/v1/exchanges/<int:id>/abort",
        abort_exchange,
        query=("namespace",),
        body=AbortBody,
        answer=ExchangeSummary,
        problems=(404, 409),
        parameters=_ID,
        example='{"status": 503}',
    ),
    Route(
        "POST",
        "/v1/exchanges/<int:id>/edit",
        edit_exchange,
        query=("namespace",),
        body=EditBody,
        answer=ExchangeSummary,
        problems=(404, 409),
        parameters=_ID,
        example='{"status": 503}',
    ),
    Route("POST", "/v1/resume", resume_all, query=_WHICH, body=Nothing, answer=Concerned),
    Route(
        "POST",
        "/v1/step",
        step_all,
        query=_WHICH,
        body=StepBody,
        answer=Concerned,
        example='{"bytes": "1MiB"}',
    ),
    Route(
        "POST",
        "/v1/abort",
        abort_all,
        query=_WHICH,
        body=AbortBody,
        answer=Concerned,
        example='{"status": 503}',
    ),
)
