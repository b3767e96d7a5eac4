"""`/v1/status` and `/v1/reset`: the status of the server."""

from __future__ import annotations

import json
from collections.abc import Mapping

from quart import Response

from brokenreg.control.routes import APIRequest, Route, json_response, no_content
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

    Images stay. Breakpoints stay, too, if the namespace has a name.
    """
    request.operations.reset(request.namespace)
    return no_content()


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
    Route("POST", "/v1/reset", reset, query=("namespace",), status=204, is_shared=True),
)
