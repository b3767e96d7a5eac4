"""A request to the control API as a frozen value, and how its response is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast

import httpx

from brokenreg.client.errors import (
    ControlError,
    MissingError,
    NotControlAPIError,
    ProblemError,
    UnauthorizedError,
    UsageError,
)

Result = TypeVar("Result")

_PROBLEM = "application/problem+json"
_REGISTRY = "docker-distribution-api-version"
"""The header by which a registry is recognised."""


@dataclass(frozen=True, slots=True)
class Call(Generic[Result]):
    """A request. `namespace` None means that of the client; `is_global` means that it has no namespace."""

    method: str
    path: str
    namespace: str | None = None
    query: Mapping[str, str | int | None] = field(default_factory=dict)
    json: Any = None
    content: bytes | None = None
    media_type: str | None = None
    accept: str = "application/json"
    is_global: bool = False

    def arguments(self, namespace: str) -> dict[str, Any]:
        """Return the arguments of `httpx.Client.request`, for a client of that namespace."""
        params = {name: value for name, value in self.query.items() if value is not None}
        chosen = namespace if self.namespace is None else self.namespace
        if chosen and not self.is_global:
            params["namespace"] = chosen
        headers = {"accept": self.accept} | ({"content-type": self.media_type} if self.media_type else {})
        return {
            "method": self.method,
            "url": self.path,
            "params": params,
            "headers": headers,
            "json": self.json,
            "content": self.content,
        }

    def read(self, url: str, response: httpx.Response) -> Result:
        """Return what a response holds: JSON, text for YAML, None if it is empty. Raise `ControlError`."""
        if response.is_error:
            raise problem_in(url, response)
        media_type = response.headers.get("content-type", "").partition(";")[0]
        if response.status_code == httpx.codes.NO_CONTENT:
            return cast(Result, None)
        if media_type != self.accept:
            raise _not_control_api(url, response)
        return cast(Result, response.json() if media_type == "application/json" else response.text)


def problem_in(url: str, response: httpx.Response) -> ControlError:
    """Return the error that an error response of the server at a URL means."""
    problem = _document(response)
    if problem is None:
        return _not_control_api(url, response)
    if response.status_code == httpx.codes.UNAUTHORIZED:
        return UnauthorizedError(url, has_token="authorization" in response.request.headers)
    kinds: dict[int, type[ProblemError]] = {400: UsageError, 404: MissingError}
    kind = kinds.get(response.status_code, ProblemError)
    field, said, missing = (problem.get(name) for name in ("field", "problem", "missing"))
    return kind(url, response.status_code, str(problem.get("detail")), field, said, missing)


def _not_control_api(url: str, response: httpx.Response) -> NotControlAPIError:
    return NotControlAPIError(url, response.status_code, is_registry=_REGISTRY in response.headers)


def _document(response: httpx.Response) -> dict[str, Any] | None:
    """Return the problem document (RFC 9457) in a response, or None."""
    if response.headers.get("content-type", "") != _PROBLEM:
        return None
    try:
        problem = response.json()
    except ValueError:
        return None
    return problem if isinstance(problem, dict) else None
