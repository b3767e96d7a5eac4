"""`/v1/status`, `/v1/reset` and `/v1/faults`: the server as a whole, and what it can do."""

from __future__ import annotations

from quart import Response

from brokenreg.control.problems import Problem
from brokenreg.control.routes import Ask, Route, json_list, json_response, no_content
from brokenreg.controlled import ALL, Controlled
from brokenreg.faults.catalogue import CATALOGUE
from brokenreg.faults.description import FaultDescription, describe
from brokenreg.oci.hints import nearest
from brokenreg.status import Status


async def get_status(controlled: Controlled, ask: Ask) -> Response:
    """Tell version, addresses and counts."""
    del ask
    return json_response(controlled.status())


async def reset(controlled: Controlled, ask: Ask) -> Response:
    """Put rules back to what they were at the start; forget counts, exchanges, leaks, breaks; images stay."""
    namespaces = controlled.rules.namespaces() if ask.namespace == ALL else [ask.namespace]
    for namespace in namespaces:
        controlled.rules.reset(namespace)
    for namespace in controlled.trap.namespaces() if ask.namespace == ALL else [ask.namespace]:
        controlled.trap.reset(namespace)
    controlled.gate.breaks.clear()
    controlled.log.forget(lambda exchange: exchange.ended is not None and ask.concerns(exchange))
    return no_content()


async def list_faults(controlled: Controlled, ask: Ask) -> Response:
    """List the catalogue: every fault, its parameters, how to ask for it."""
    del controlled, ask
    return await json_list(describe(kind) for kind in CATALOGUE.values())


async def get_fault(controlled: Controlled, ask: Ask) -> Response:
    """Show one fault."""
    del controlled
    name = ask.path["name"]
    if name not in CATALOGUE:
        raise Problem(404, f"there is no fault {name[:100]!r}; {nearest(name, CATALOGUE)}")
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
        parameters={"name": "for instance truncate"},
    ),
)
