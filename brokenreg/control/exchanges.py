"""`/v1/exchanges`: the exchange log."""

from __future__ import annotations

from functools import partial
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from quart import Response

from brokenreg.concurrency import paced
from brokenreg.control.gathering import merge_by_time, merge_har, merge_nothing
from brokenreg.control.routes import JSON, APIRequest, Route, json_list, json_response, no_content
from brokenreg.rules.explanations import MAX_EXPLAINED, NoOutcome, explain, rules_as_json
from brokenreg.runtime.errors import Kind, NotFoundError
from brokenreg.runtime.preparation import prepare_filter
from brokenreg.runtime.runtime import Runtime
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.har import har_pieces
from brokenreg.traffic.rule_outcome import OutcomeKind
from brokenreg.traffic.timeline_events import KINDS
from brokenreg.traffic.timeline_text import point_as_json

_SLICE = 8
"""Number of exchanges between two checks of the clock. To search their bodies may take 8 ms."""


class ExchangeSummary(BaseModel):
    """A request and its response."""

    model_config = ConfigDict(frozen=True, extra="allow")

    id: int
    replica: str | None = Field(
        None, description="the replica of the fleet that has it; absent without the parameter `replica`"
    )
    origin: str = Field(description="`registry`, or `second` for the second origin")
    time: float = Field(description="when the request arrived, in seconds since the epoch")
    client: str = Field(description="address and port of the client")
    user_agent: str
    protocol: str = Field(description="HTTP/1.1 or HTTP/2; empty for a connection without a request")
    method: str
    path: str
    query: str
    endpoint: str
    namespace: str
    repository: str = Field(description="repository without the prefixes of the image path")
    reference: str
    status: int | None = Field(description="status of the response; null before it is sent")
    request_bytes: int = Field(description="size of the request's body in bytes")
    response_bytes: int = Field(description="bytes of the response's body that were sent")
    duration: float | None = Field(description="duration in seconds; null while the exchange is in flight")
    cache: str | None = Field(
        description="use of the cache: hit, miss, joined, revalidated or stale; null without the proxy"
    )
    faults: list[str] = Field(description="names of the applied faults, outermost first")
    rule: str | None = Field(description="name of the applied rule")
    replay_of: int | None = Field(description="id of the exchange whose request this one repeats")
    held: bool
    held_by: str | None = Field(
        description="the rule, breakpoint or user that holds the response; null if it is not held"
    )
    edited: str | None = Field(description="how the status and headers were edited; null if they were not")
    progress: str | None = Field(
        description="progress of the work for the response: `fabricating layer 17 of 127, 12%`"
    )
    ended: str | None = Field(
        description="complete, disconnected or aborted; null while the exchange is in flight"
    )


class TimelinePoint(BaseModel):
    """An event in the timeline of an exchange."""

    model_config = ConfigDict(frozen=True)

    kind: str = Field(description="kind of event", json_schema_extra={"enum": [*KINDS]})
    at: float = Field(description="seconds since the request arrived")
    text: str = Field(description="one line of text for display; the wording may change")
    data: dict[str, Any] = Field(description="data that belongs to this kind of event")


class RuleExplanation(BaseModel):
    """A rule, and why it was applied to an exchange or not."""

    model_config = ConfigDict(frozen=True)

    id: int | None = Field(description="id of the rule; null for a fault of the image path")
    rule: str = Field(description="name of the rule")
    source: str = Field(description="where the rule came from: a file and line, a path, or who added it")
    outcome: str = Field(
        description="what became of the rule", json_schema_extra={"enum": [*OutcomeKind, *NoOutcome]}
    )
    reason: str = Field(description="one line of text for display; the wording may change")


class ExchangeDetail(ExchangeSummary):
    """A request and its response, with headers, evaluated rules and timeline. Secrets are replaced."""

    request_headers: list[tuple[str, str]] = Field(description="names and values in the order of arrival")
    response_headers: list[tuple[str, str]]
    layers: list[int] = Field(description="the positions of the requested layer in its manifests, from 1")
    rules: list[RuleExplanation] = Field(
        description=f"the rules that decided, then the other rules of the namespace, at most {MAX_EXPLAINED}"
    )
    timeline: list[TimelinePoint]


class HAR(BaseModel):
    """An HTTP Archive, version 1.2."""

    model_config = ConfigDict(frozen=True)

    log: dict[str, Any] = Field(description="as defined in http://www.softwareishard.com/blog/har-12-spec/")


async def list_exchanges(runtime: Runtime, request: APIRequest) -> Response:
    """List the newest exchanges, oldest first."""
    found = await _found(runtime, request)
    return await json_list(summary(request, exchange) for exchange in found)


async def get_har(runtime: Runtime, request: APIRequest) -> Response:
    """Export the newest exchanges as HAR 1.2, including recorded bodies. Secrets are replaced."""
    found = await _found(runtime, request)
    explained = partial(explain, books=runtime.rules)
    pieces = har_pieces(found, runtime.log.bodies, runtime.registry_urls[0], explained, request.query.replica)
    text = "".join([piece async for piece in paced(pieces)])
    return Response(text, content_type=JSON)


async def get_exchange_har(runtime: Runtime, request: APIRequest) -> Response:
    """Export an exchange as HAR 1.2, including recorded bodies. Secrets are replaced."""
    exchange = find(runtime, request)
    explained = partial(explain, books=runtime.rules)
    pieces = har_pieces(
        [exchange], runtime.log.bodies, runtime.registry_urls[0], explained, request.query.replica
    )
    return Response("".join(pieces), content_type=JSON)


async def _found(runtime: Runtime, request: APIRequest) -> list[Exchange]:
    """Return the newest exchanges that the query selects, oldest first."""
    matches = request.filtered(runtime.log.bodies)
    await prepare_filter(runtime.log, request.query.filter or "")
    found: list[Exchange] = []
    async for exchange in paced(reversed(list(runtime.log)), check_every=_SLICE):
        if exchange.id <= request.after or len(found) == request.query.limit:
            break
        if matches(exchange):
            found.append(exchange)
    return found[::-1]


async def get_exchange(runtime: Runtime, request: APIRequest) -> Response:
    """Return an exchange with headers, evaluated rules and timeline."""
    exchange = find(runtime, request)
    return json_response(
        {
            **summary(request, exchange),
            "request_headers": exchange.request_headers,
            "response_headers": exchange.response_headers,
            "layers": runtime.rules.layers_of(exchange),
            "rules": rules_as_json(exchange, runtime.rules),
            "timeline": [point_as_json(point, round(point.at, 6)) for point in exchange.timeline],
        }
    )


async def delete_exchanges(runtime: Runtime, request: APIRequest) -> Response:
    """Delete all ended exchanges, or those that a filter matches."""
    matches = request.filtered()
    await prepare_filter(runtime.log, request.query.filter or "")
    request.operations.forget_exchanges(matches)
    return no_content()


def summary(request: APIRequest, exchange: Exchange) -> dict[str, object]:
    """Return the summary of an exchange, with the replica if the request names it."""
    replica = request.query.replica
    return exchange.summary() if replica is None else {**exchange.summary(), "replica": replica}


def find(runtime: Runtime, request: APIRequest) -> Exchange:
    """Return the exchange in the path, of any namespace unless the query names one.

    Raise `NotFoundError`.
    """
    exchange = runtime.log.find(request.id)
    if exchange is None or (request.namespace and not request.concerns(exchange)):
        raise NotFoundError(Kind.EXCHANGE, request.id)
    return exchange


ROUTES = (
    Route(
        "GET",
        "/v1/exchanges",
        list_exchanges,
        query=("namespace", "filter", "limit", "after", "replica"),
        answer=list[ExchangeSummary],
        problems=(404, 504),
        merge=merge_by_time,
    ),
    Route(
        "GET",
        "/v1/exchanges.har",
        get_har,
        query=("namespace", "filter", "limit", "after", "replica"),
        answer=HAR,
        problems=(404, 504),
        merge=merge_har,
    ),
    Route(
        "DELETE",
        "/v1/exchanges",
        delete_exchanges,
        query=("namespace", "filter", "replica"),
        status=204,
        problems=(404, 504),
        merge=merge_nothing,
    ),
    Route(
        "GET",
        "/v1/exchanges/<int:id>",
        get_exchange,
        query=("namespace", "replica"),
        answer=ExchangeDetail,
        problems=(404, 504),
        parameters={"id": "id of the exchange, from GET /v1/exchanges"},
    ),
    Route(
        "GET",
        "/v1/exchanges/<int:id>/har",
        get_exchange_har,
        query=("namespace", "replica"),
        answer=HAR,
        problems=(404, 504),
        parameters={"id": "id of the exchange, from GET /v1/exchanges"},
    ),
)
