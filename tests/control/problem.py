"""Errors of the control API as tests read them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import httpx


def problem_of(response: httpx.Response, status: int, field: str | None = None) -> str:
    """The words of an error in the form of RFC 9457, which names that field."""
    assert response.status_code == status, f"{response.status_code}: {response.text[:500]}"
    assert response.headers["content-type"] == "application/problem+json"
    told: dict[str, Any] = response.json()
    assert told["type"] == "about:blank"
    assert told["title"] == HTTPStatus(status).phrase
    assert (told["status"], told["field"]) == (status, field)
    assert "\n" not in told["detail"]
    return str(told["detail"])
