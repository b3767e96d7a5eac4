"""`/v1/exchanges/{id}/hold|resume|step|abort|edit` for one exchange, `/v1/resume|step|abort` for all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial

from pydantic import BaseModel, ConfigDict, Field
from quart import Response

from brokenreg.control.exchanges import ExchangeSummary, find, summary
from brokenreg.control.routes import APIRequest, Route, json_response
from brokenreg.faults.catalogue.parameters import HeadersOrSize, Size
from brokenreg.gate.edits import EditableHead
from brokenreg.gate.passage import HEADERS, STEP, Abort, Order, Resume, Step
from brokenreg.runtime.lookups import waiting_head
from brokenreg.runtime.preparation import prepare_filter
from brokenreg.runtime.runtime import Runtime


class HoldBody(BaseModel):
    """Where to hold an exchange."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: HeadersOrSize | None = Field(
        None, description="`headers`, or a number of bytes of the body; by default, the current position"
    )


class StepBody(BaseModel):
    """How much of a held response to send."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bytes: Size = Field(
        STEP, ge=1, description="number of bytes of the body to send; held headers are sent first"
    )


class AbortBody(BaseModel):
    """How to end a held exchange."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: int | None = Field(
        None,
        ge=400,
        le=599,
        description="error status to send, if the headers are held; by default the connection is reset",
    )


class EditBody(BaseModel):
    """The status and headers to send instead of the held ones."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: int | None = Field(None, description="absent: unchanged")
    headers: list[tuple[str, str]] | None = Field(
        None, description="names and values of all headers; by default unchanged", max_length=1000
    )


class ReplicaOutcome(BaseModel):
    """The part of an outcome that concerns one replica of a fleet."""

    model_config = ConfigDict(frozen=True)

    exchanges: list[int]
    skipped: list[int]


class OrderOutcome(BaseModel):
    """The exchanges on which the order was carried out, and those on which it could not be."""

    model_config = ConfigDict(frozen=True)

    exchanges: list[int] = Field(description="their ids")
    skipped: list[int] = Field(
        description="ids of held exchanges that have already sent their headers and cannot send a status"
    )
    replicas: dict[str, ReplicaOutcome] = Field(
        {}, description="the outcome at each replica; absent without `replica=*`"
    )


async def hold_exchange(runtime: Runtime, request: APIRequest) -> Response:
    """Hold an exchange in flight, at its current position or a later one."""
    at = request.model(HoldBody).at
    exchange = find(runtime, request)
    request.operations.hold(exchange.id, "the control API", HEADERS if at == "headers" else at)
    return json_response(summary(request, exchange))


async def resume_exchange(runtime: Runtime, request: APIRequest) -> Response:
    """Resume a held exchange."""
    return _carry_out(runtime, request, _resume(request))


async def step_exchange(runtime: Runtime, request: APIRequest) -> Response:
    """Send some bytes of a held response, then hold it again."""
    return _carry_out(runtime, request, _step(request))


async def abort_exchange(runtime: Runtime, request: APIRequest) -> Response:
    """Abort a held exchange with a reset or an error status."""
    return _carry_out(runtime, request, _abort(request))


async def edit_exchange(runtime: Runtime, request: APIRequest) -> Response:
    """Edit the status or headers of an exchange that is held before they are sent. It stays held."""
    body = request.model(EditBody)
    exchange = find(runtime, request)
    waiting = waiting_head(runtime, exchange.id)
    head = EditableHead(
        waiting.status if body.status is None else body.status,
        waiting.headers if body.headers is None else tuple(body.headers),
    )
    request.operations.edit(exchange.id, head)
    return json_response(summary(request, exchange))


async def resume_all(runtime: Runtime, request: APIRequest) -> Response:
    """Resume all held exchanges, or those that a filter matches."""
    return await _carry_out_on_all(runtime, request, _resume(request))


async def step_all(runtime: Runtime, request: APIRequest) -> Response:
    """Step all held exchanges, or those that a filter matches."""
    return await _carry_out_on_all(runtime, request, _step(request))


async def abort_all(runtime: Runtime, request: APIRequest) -> Response:
    """Abort all held exchanges, or those that a filter matches."""
    return await _carry_out_on_all(runtime, request, _abort(request))


class ResumeBody(BaseModel):
    """An empty object: resuming has no parameters."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _resume(request: APIRequest) -> Order:
    request.model(ResumeBody)
    return Resume()


def _step(request: APIRequest) -> Order:
    return Step(request.model(StepBody).bytes)


def _abort(request: APIRequest) -> Order:
    return Abort(request.model(AbortBody).status)


def _carry_out(runtime: Runtime, request: APIRequest, order: Order) -> Response:
    exchange = find(runtime, request)
    request.operations.carry_out(exchange.id, order)
    return json_response(summary(request, exchange))


async def _carry_out_on_all(runtime: Runtime, request: APIRequest, order: Order) -> Response:
    matches = request.filtered()
    await prepare_filter(runtime.log, request.query.filter or "")
    done, skipped = request.operations.carry_out_all(order, matches)
    return json_response(
        {"exchanges": [exchange.id for exchange in done], "skipped": [exchange.id for exchange in skipped]}
    )


async def merge_outcomes(runtime: Runtime, request: APIRequest, bodies: Mapping[str, bytes]) -> Response:
    """Return one outcome for all replicas."""
    del runtime, request
    replicas = {name: json.loads(body) for name, body in bodies.items()}
    return json_response(
        {
            "exchanges": [each for outcome in replicas.values() for each in outcome["exchanges"]],
            "skipped": [each for outcome in replicas.values() for each in outcome["skipped"]],
            "replicas": replicas,
        }
    )


_for_one = partial(
    Route,
    "POST",
    query=("namespace", "replica"),
    answer=ExchangeSummary,
    problems=(404, 409, 504),
    parameters={"id": "id of the exchange, from GET /v1/exchanges"},
)
_for_all = partial(
    Route,
    "POST",
    query=("namespace", "filter", "replica"),
    answer=OrderOutcome,
    problems=(404, 504),
    merge=merge_outcomes,
)
_EXCHANGE = "/v1/exchanges/<int:id>"
ROUTES = (
    _for_one(f"{_EXCHANGE}/hold", hold_exchange, body=HoldBody, example='{"at": "1MiB"}'),
    _for_one(f"{_EXCHANGE}/resume", resume_exchange, body=ResumeBody),
    _for_one(f"{_EXCHANGE}/step", step_exchange, body=StepBody, example='{"bytes": "64KiB"}'),
    _for_one(f"{_EXCHANGE}/abort", abort_exchange, body=AbortBody, example='{"status": 503}'),
    _for_one(f"{_EXCHANGE}/edit", edit_exchange, body=EditBody, example='{"status": 503}'),
    _for_all("/v1/resume", resume_all, body=ResumeBody),
    _for_all("/v1/step", step_all, body=StepBody, example='{"bytes": "1MiB"}'),
    _for_all("/v1/abort", abort_all, body=AbortBody, example='{"status": 503}'),
)
