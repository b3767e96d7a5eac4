"""`/v1/status`, `/v1/reset` and `/v1/faults`: the status of the server, and the catalogue of faults."""

from __future__ import annotations

from quart import Response

from brokenreg.control.problems import APIError
from brokenreg.control.routes import APIRequest, Route, json_list, json_response, no_content
from brokenreg.faults.catalogue import CATALOGUE
from brokenreg.rules.fault_descriptions import FaultDescription, describe
from brokenreg.runtime import operations
from brokenreg.runtime.runtime import Runtime
from brokenreg.runtime.status import Status
from brokenreg.wording import nearest


async def get_status(runtime: Runtime, request: APIRequest) -> Response:
    """Return the version, addresses and counters of the server."""
    del request
    return json_response(runtime.status())


async def reset(runtime: Runtime, request: APIRequest) -> Response:
    """Restore the initial rules, and clear counters, ended exchanges, leaked credentials and breakpoints.

    Images stay.
    """
    operations.reset(runtime, request.namespace)
    return no_content()


async def list_faults(runtime: Runtime, request: APIRequest) -> Response:
    """List all faults, with their parameters and examples."""
    del runtime, request
    return await json_list(describe(kind) for kind in CATALOGUE.values())


async def get_fault(runtime: Runtime, request: APIRequest) -> Response:
    """Return a fault with its parameters and examples."""
    del runtime
    name = request.text("name")
    if name not in CATALOGUE:
        raise APIError(404, f'no fault "{name[:100]}": {nearest(name, CATALOGUE)}')
    return json_response(describe(CATALOGUE[name]))


ROUTES = (
    Route("GET", "/v1/status", get_status, query=("namespace",), answer=Status),
    Route("POST", "/v1/reset", reset, query=("namespace",), status=204),
    Route("GET", "/v1/faults", list_faults, query=("namespace",), answer=list[FaultDescription]),
    Route(
        "GET",
        "/v1/faults/<name>",
        get_fault,
        query=("namespace",),
        answer=FaultDescription,
        problems=(404,),
        parameters={"name": "name of the fault, for example `truncate`"},
    ),
)
