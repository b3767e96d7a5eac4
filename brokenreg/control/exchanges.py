"""`/v1/exchanges`: the log of exchanges."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from quart import Response

from brokenreg.concurrency import paced
from brokenreg.control.routes import JSON, APIRequest, Route, json_list, json_response, no_content
from brokenreg.runtime import operations
from brokenreg.runtime.errors import Kind, NotFoundError
from brokenreg.runtime.runtime import Runtime
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.har import har_pieces
from brokenreg.traffic.timeline_events import KINDS
from brokenreg.traffic.timeline_text import point_as_json

_SLICE = 500
"""Number of exchanges that are filtered between two looks at the clock."""


class ExchangeSummary(BaseModel):
    """One request and its response."""

    model_config = ConfigDict(frozen=True, extra="allow")

    id: int
    origin: str = Field(description="registry, or second for the second origin")
    time: float = Field(description="when the request arrived, in seconds since the epoch")
    client: str = Field(description="address and port")
    user_agent: str
    protocol: str = Field(description="HTTP/1.1 or HTTP/2; empty for a connection without a request")
    method: str
    path: str
    query: str
    endpoint: str
    namespace: str
    repository: str = Field(description="without the prefixes of the path")
    reference: str
    status: int | None = Field(description="null while there is no response")
    request_bytes: int = Field(description="of the body")
    response_bytes: int = Field(description="of the body, that were sent")
    duration: float | None = Field(description="seconds; null while it is in flight")
    cache: str | None = Field(
        description="hit, miss, joined, revalidated, stale; null if the proxy was not used"
    )
    faults: list[str] = Field(description="names of the applied faults; the outermost first")
    rule: str | None = Field(description="name of the applied rule")
    replay_of: int | None = Field(description="the id of the exchange whose request it repeats")
    held: bool
    held_by: str | None = Field(
        description="the rule or breakpoint that holds it, or who does; null if it is not held"
    )
    edited: str | None = Field(description="how its status and headers were edited")
    progress: str | None = Field(
        description="progress of the work for its response: `fabricating layer 17 of 127, 12%`"
    )
    ended: str | None = Field(description="complete, disconnected, aborted; null while it is in flight")


class TimelinePoint(BaseModel):
    """One point of a timeline: what happened, and when."""

    model_config = ConfigDict(frozen=True)

    kind: str = Field(description="the kind of event", json_schema_extra={"enum": [*KINDS]})
    at: float = Field(description="seconds since the request came")
    text: str = Field(description="one line for people; its wording may change")
    data: dict[str, Any] = Field(description="the data of that kind")


class ExchangeDetail(ExchangeSummary):
    """One request and its response, with headers; secrets are replaced."""

    request_headers: list[tuple[str, str]] = Field(description="name and value, in order of arrival")
    response_headers: list[tuple[str, str]]
    timeline: list[TimelinePoint]


class HAR(BaseModel):
    """An HTTP Archive, version 1.2."""

    model_config = ConfigDict(frozen=True)

    log: dict[str, Any] = Field(description="as http://www.softwareishard.com/blog/har-12-spec/ has it")


async def list_exchanges(runtime: Runtime, request: APIRequest) -> Response:
    """List the newest exchanges, oldest first."""
    found = await _found(runtime, request)
    return await json_list(exchange.summary() for exchange in found)


async def get_har(runtime: Runtime, request: APIRequest) -> Response:
    """Export the newest exchanges as HAR 1.2, with the bodies that were kept. Secrets are replaced."""
    found = await _found(runtime, request)
    base = runtime.status().registry[0]
    pieces = [piece async for piece in paced(har_pieces(found, runtime.log.bodies, base))]
    return Response("".join(pieces), content_type=JSON)


async def _found(runtime: Runtime, request: APIRequest) -> list[Exchange]:
    """Return the newest exchanges that the request selects, oldest first."""
    matches = request.filtered()
    found: list[Exchange] = []
    async for exchange in paced(reversed(list(runtime.log)), check_every=_SLICE):
        if exchange.id <= request.query.after or len(found) == request.query.limit:
            break
        if matches(exchange):
            found.append(exchange)
    return found[::-1]


async def get_exchange(runtime: Runtime, request: APIRequest) -> Response:
    """Show an exchange with headers and timeline."""
    return json_response(_detail(find(runtime, request)))


async def delete_exchanges(runtime: Runtime, request: APIRequest) -> Response:
    """Delete the exchanges that have ended; with a filter, those that it matches."""
    operations.forget_exchanges(runtime, request.filtered())
    return no_content()


def find(runtime: Runtime, request: APIRequest) -> Exchange:
    """Return the exchange in the path, of any namespace unless one is given. Raise `NotFoundError`."""
    exchange = runtime.log.find(request.id)
    if exchange is None or (request.namespace and not request.concerns(exchange)):
        raise NotFoundError(Kind.EXCHANGE, request.id)
    return exchange


def _detail(exchange: Exchange) -> dict[str, Any]:
    return {
        **exchange.summary(),
        "request_headers": exchange.request_headers,
        "response_headers": exchange.response_headers,
        "timeline": [point_as_json(point, round(point.at, 6)) for point in exchange.timeline],
    }


ROUTES = (
    Route(
        "GET",
        "/v1/exchanges",
        list_exchanges,
        query=("namespace", "filter", "limit", "after"),
        answer=list[ExchangeSummary],
    ),
    Route(
        "GET",
        "/v1/exchanges.har",
        get_har,
        query=("namespace", "filter", "limit", "after"),
        answer=HAR,
    ),
    Route("DELETE", "/v1/exchanges", delete_exchanges, query=("namespace", "filter"), status=204),
    Route(
        "GET",
        "/v1/exchanges/<int:id>",
        get_exchange,
        query=("namespace",),
        answer=ExchangeDetail,
        problems=(404,),
        parameters={"id": "the id in the list"},
    ),
)
