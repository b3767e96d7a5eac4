"""The routes of the control API, for docs/reference/control-api.md."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from brokenreg.control.app import ROUTES
from brokenreg.control.openapi import query_parameters
from brokenreg.control.routes import Query, Route
from documentation.markdown import code, codes, prose, table


def routes() -> str:
    """Return the table of routes, and that of query parameters."""
    rows = [
        (code(f"{route.method} {route.template}"), _description(route), codes(route.query))
        for route in ROUTES
    ]
    return "\n".join([*table(("route", "what it does", "query"), rows), "", *_parameters()])


def _description(route: Route) -> str:
    errors = f" Errors: {', '.join(map(str, sorted(route.problems)))}." if route.problems else ""
    return f"{prose(route.description)}{errors}"


def _parameters() -> Iterator[str]:
    used = {name for route in ROUTES for name in route.query}
    everything = replace(ROUTES[0], query=tuple(name for name in Query.model_fields if name in used))
    rows = [
        (code(each["name"]), str(each["schema"].get("default") or ""), prose(each["description"]))
        for each in query_parameters(everything)
    ]
    yield from table(("query parameter", "default", "meaning"), rows)
