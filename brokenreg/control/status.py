"""`/v1/status` and `/v1/reset`: the status of the server."""

from __future__ import annotations

from quart import Response

from brokenreg.control.routes import APIRequest, Route, json_response, no_content
from brokenreg.runtime.runtime import Runtime
from brokenreg.runtime.status import Status


async def get_status(runtime: Runtime, request: APIRequest) -> Response:
    """Return the version, addresses and counters of the server."""
    del request
    return json_response(runtime.status())


async def reset(runtime: Runtime, request: APIRequest) -> Response:
    """Restore the initial rules, and clear counters, ended exchanges, leaked credentials and breakpoints.

    Images stay. Breakpoints stay, too, if the namespace has a name.
    """
    request.operations.reset(request.namespace)
    return no_content()


ROUTES = (
    Route("GET", "/v1/status", get_status, query=("namespace",), answer=Status),
    Route("POST", "/v1/reset", reset, query=("namespace",), status=204, is_shared=True),
)
