"""`/v1/status` and `/v1/reset`: the status of the server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from urllib.parse import urlencode

from quart import Response

from brokenreg.control.problems import APIError
from brokenreg.control.routes import APIRequest, Route, json_response, no_content
from brokenreg.fleet.control_calls import ControlCalls, ControlRequest, ended_as_none
from brokenreg.fleet.errors import ReplicaError
from brokenreg.runtime.errors import operation_errors
from brokenreg.runtime.operations import Access
from brokenreg.runtime.runtime import Runtime
from brokenreg.runtime.status import FleetStatus


async def get_status(runtime: Runtime, request: APIRequest) -> Response:
    """Return the version, addresses and counters of the server."""
    del request
    return json_response(runtime.status())


async def merge_status(runtime: Runtime, request: APIRequest, bodies: Mapping[str, bytes]) -> Response:
    """Return the status of this replica, with those of all."""
    del request
    replicas = {name: json.loads(bodies[name]) for name in sorted(bodies)}
    return json_response({**runtime.status().model_dump(mode="json"), "replicas": replicas})


async def reset(runtime: Runtime, request: APIRequest) -> Response:
    """Restore the initial rules, and clear counters, ended exchanges, leaked credentials and breakpoints.

    Images stay. Breakpoints stay, too, if the namespace has a name. With `replica`, clear only the exchanges
    and credentials of that replica.
    """
    if request.query.replica is not None:
        request.operations.forget_traffic(request.namespace)
        return no_content()
    request.operations.reset(request.namespace)
    if runtime.replicas is not None:
        await _forget_elsewhere(runtime.replicas, request.namespace)
    return no_content()


async def _forget_elsewhere(replicas: ControlCalls, namespace: str) -> None:
    """Clear the exchanges and credentials of the other replicas. Raise `APIError` if one does not respond.

    A replica without a control API keeps them, and shows them to nobody.
    """

    def forgotten(name: str) -> ControlRequest:
        query = urlencode({**({"namespace": namespace} if namespace else {}), "replica": name})
        return ControlRequest("POST", f"{_RESET}?{query}", Access.FULL)

    with operation_errors():
        others = await replicas.others()
    responses = await asyncio.gather(
        *(ended_as_none(replicas.call(each, forgotten(each.name))) for each in others)
    )
    silent = [str(response) for response in responses if isinstance(response, ReplicaError)]
    if silent:
        raise APIError(504, f"{'; '.join(silent)}: all other replicas were reset")


_RESET = "/v1/reset"
ROUTES = (
    Route(
        "GET",
        "/v1/status",
        get_status,
        query=("namespace", "replica"),
        answer=FleetStatus,
        problems=(404, 504),
        merge=merge_status,
        is_of_one_replica=True,
    ),
    Route(
        "POST",
        _RESET,
        reset,
        query=("namespace", "replica"),
        status=204,
        problems=(404, 504),
        is_shared=True,
    ),
)
