"""Helpers for the second origin of a running registry: its address, requests, and recorded credentials."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests import raw_http
from tests.running_registry import Registry
from tests.server import Brokenreg


def status(running: Brokenreg) -> dict[str, Any]:
    return dict(httpx.get(f"{running.control}/v1/status", verify=False).json())


def leaks(running: Brokenreg) -> dict[str, Any]:
    """Return the leaked credentials in `GET /v1/status`."""
    return dict(status(running)["leaked_credentials"])


def reset(running: Brokenreg) -> None:
    assert httpx.post(f"{running.control}/v1/reset", verify=False).status_code == 204


def second(running: Brokenreg) -> Brokenreg:
    """Return the second origin as a `Registry`, to send requests to it in the same way."""
    return replace(running, ready={**running.ready, "registry": status(running)["second_origin"]})


def location_of(answer: raw_http.Answer, status: int = 307) -> str:
    """Return the Location of a redirect, which must have no body."""
    assert (answer.status, answer.body, answer.is_whole) == (status, b"", True)
    assert answer.header("content-length") == "0"
    found = answer.header("location")
    assert found is not None
    return found


def follow(
    registry: Registry, url: str, method: str = "GET", headers: raw_http.Headers = ()
) -> raw_http.Answer:
    """Request a URL from the second origin, over the registry's protocol. The URL must belong to it."""
    there = second(registry.running)
    assert url.startswith(f"{there.url}/")
    place = urlsplit(url)
    path = f"{place.path}?{place.query}" if place.query else place.path
    return raw_http.ask(there, path, method, headers, protocol=registry.protocol)


def refused(answer: raw_http.Answer, code: str) -> None:
    """Check that the response is an error of an object store."""
    assert answer.status == 403
    assert answer.header("content-type") == "application/xml"
    assert answer.body.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>' + code.encode())
