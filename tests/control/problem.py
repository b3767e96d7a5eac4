"""Checks errors of the control API."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import httpx


def problem_of(response: httpx.Response, status: int, field: str | None = None) -> str:
    """Return the `detail` of a problem (RFC 9457), after checking its status and field."""
    assert response.status_code == status, f"{response.status_code}: {response.text[:500]}"
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert problem["type"] == "about:blank"
    assert problem["title"] == HTTPStatus(status).phrase
    assert (problem["status"], problem["field"]) == (status, field)
    assert "\n" not in problem["detail"]
    return str(problem["detail"])
