"""Requests about another replica of the fleet (`replica=NAME`), and about all of them (`replica=*`)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import quote, urlencode

import quart
from quart import Response

from brokenreg.concurrency import paced
from brokenreg.control.problems import APIError
from brokenreg.control.routes import JSON, APIRequest, Route, documents_in, json_array, no_content
from brokenreg.fleet.control_calls import ControlCalls, ControlRequest, ended_as_none
from brokenreg.fleet.errors import NoReplicaError, ReplicaError
from brokenreg.http.asgi import ReadyResponse
from brokenreg.runtime.errors import operation_errors
from brokenreg.runtime.operations import Access
from brokenreg.runtime.runtime import Runtime
from brokenreg.traffic.har import merged_har

ALL_REPLICAS = "*"


def for_replicas(runtime: Runtime, route: Route, request: APIRequest) -> APIRequest:
    """Return a request for all replicas of the fleet if it names none, and the route can gather from all.

    An id in `after` without a replica is one of the replica that receives the request.
    """
    query = request.query
    is_for_all = route.gathers or (route.merge is not None and not route.is_of_one_replica)
    if runtime.replicas is None or query.replica or not is_for_all or request.has_own_after:
        return request
    return replace(request, query=query.model_copy(update={"replica": ALL_REPLICAS}))


def replicas_of(runtime: Runtime) -> ControlCalls:
    """Return what sends requests to other replicas. Raise `APIError` without a fleet."""
    if runtime.replicas is None:
        raise APIError(
            400,
            "this brokenreg is not in a fleet: remove replica, or start it with --fleet-key",
            field="replica",
        )
    return runtime.replicas


async def on_replicas(runtime: Runtime, route: Route, request: APIRequest, access: Access) -> Response:
    """Handle a request that has the parameter `replica`, at this replica or at others. Raise `APIError`.

    `access` is what its sender may do, here and there.
    """
    replicas, name = replicas_of(runtime), request.query.replica or ""
    if name == replicas.own:
        return await route.handler(runtime, request)
    with operation_errors():
        if name == ALL_REPLICAS:
            return await _gathered(runtime, replicas, route, request, access)
        try:
            return _passed_on(await replicas.send(name, _sent(route, request, access, name)))
        except NoReplicaError as error:
            raise APIError(404, str(error), field="replica", missing="replica") from None
        except ReplicaError as error:
            raise APIError(504, str(error)) from None


async def _gathered(
    runtime: Runtime, replicas: ControlCalls, route: Route, request: APIRequest, access: Access
) -> Response:
    """Return one response for all replicas. Raise `APIError` if one of them does not respond."""
    if route.merge is None:
        raise APIError(400, 'invalid replica "*": name one replica', field="replica")
    if request.has_own_after:
        raise APIError(
            400, "after needs REPLICA/ID, because each replica counts its own exchanges", field="after"
        )
    own = replace(request, query=request.query.model_copy(update={"replica": replicas.own}))
    others = await replicas.others()
    responding = asyncio.gather(
        *(ended_as_none(replicas.call(each, _sent(route, request, access, each.name))) for each in others)
    )
    try:
        here = await route.handler(runtime, own)
    except BaseException:
        responding.cancel()
        raise
    bodies, silent = {replicas.own: await here.get_data(as_text=False)}, list[str]()
    for replica, response in zip(others, await responding, strict=True):
        if isinstance(response, ReplicaError):
            silent.append(str(response))
        elif response is not None and response.status != here.status_code:
            silent.append(f"{replica} responded with {response.status}")
        elif response is not None:
            bodies[replica.name] = response.body
    if silent and route.changes:
        raise APIError(504, f"{'; '.join(silent)}: all other replicas carried out the request")
    if silent:
        raise APIError(504, f"{'; '.join(silent)}: for the others, use replica=NAME, or --replica NAME")
    return await route.merge(runtime, request, bodies)


def _sent(route: Route, request: APIRequest, access: Access, name: str) -> ControlRequest:
    """Return the request in the form for another replica, which it names."""
    http = quart.request
    query = urlencode({**http.args.to_dict(), "replica": name})
    return ControlRequest(route.method, f"{quote(http.path)}?{query}", access, request.content, http.mimetype)


def _passed_on(response: ReadyResponse) -> Response:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in response.headers}
    return Response(response.body, response.status, headers=headers)


async def merge_by_time(runtime: Runtime, request: APIRequest, bodies: Mapping[str, bytes]) -> Response:
    """Return the newest exchanges of all replicas, oldest first."""
    del runtime
    texts = (text for body in bodies.values() for text in documents_in(body))
    found: list[tuple[float, str, int, str]] = []
    async for text in paced(texts):
        exchange = json.loads(text)
        found.append((exchange["time"], exchange["replica"], exchange["id"], text.decode()))
    found.sort()
    return json_array(text for *_, text in found[-request.query.limit :])


async def merge_har(runtime: Runtime, request: APIRequest, bodies: Mapping[str, bytes]) -> Response:
    """Return the newest exchanges of all replicas as one HAR document, oldest first."""
    del runtime

    def merged() -> bytes:
        return merged_har((body.decode() for body in bodies.values()), request.query.limit).encode()

    return Response(await asyncio.to_thread(merged), content_type=JSON)


async def merge_nothing(runtime: Runtime, request: APIRequest, bodies: Mapping[str, bytes]) -> Response:
    """Return that all replicas have carried out the request."""
    del runtime, request, bodies
    return no_content()
