"""Errors of the control API as problem+json (RFC 9457, "Problem Details for HTTP APIs")."""

from __future__ import annotations

import logging
from http import HTTPStatus

from pydantic import BaseModel, ConfigDict, Field
from werkzeug.exceptions import HTTPException

from brokenreg.rules.rule import FieldError
from brokenreg.runtime.errors import (
    FailedError,
    InvalidError,
    Kind,
    NotFoundError,
    OperationError,
    ReadOnlyError,
    RefusedError,
    UnacknowledgedError,
    UnavailableError,
)

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

MAX_BODY = 1024 * 1024
"""Maximum size of a request body, in bytes."""

_STATUSES: tuple[tuple[type[OperationError], int], ...] = (
    (InvalidError, 400),
    (ReadOnlyError, 403),
    (NotFoundError, 404),
    (RefusedError, 409),
    (UnavailableError, 503),
    (FailedError, 500),
    (UnacknowledgedError, 504),
)
_HINTS = {
    Kind.BLOB: "GET /v1/blobs lists all blobs",
    Kind.CACHED_BLOB: "GET /v1/blobs?namespace=* lists all blobs",
    Kind.REPOSITORY: "GET /v1/repositories lists all repositories",
    Kind.RULE: "GET /v1/rules lists all rules",
    Kind.EXCHANGE: "GET /v1/exchanges lists all exchanges",
    Kind.BREAKPOINT: "GET /v1/breakpoints lists all breakpoints",
}
"""What to do when an item of that kind does not exist."""


class ProblemDetails(BaseModel):
    """An error: `detail` says what is wrong, and `field` says where in the request."""

    model_config = ConfigDict(frozen=True)

    type: str = "about:blank"
    title: str
    status: int = Field(ge=400, le=599)
    detail: str
    field: str | None = Field(
        None,
        description="the wrong field, for example `rules[2].fault.after`; null if there is no such field",
    )
    problem: str | None = Field(
        None, description="what is wrong, without the field and without advice; null if `detail` says no more"
    )
    missing: str | None = Field(
        None, description="the kind of thing that does not exist, for example `rule` or `exchange`"
    )


class APIError(Exception):
    """A request cannot be fulfilled. `headers` are added to the response."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        field: str | None = None,
        problem: str | None = None,
        missing: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.field = field
        self.problem = problem
        self.missing = missing
        self.headers = headers or {}

    def body(self) -> bytes:
        """Return the problem document as JSON."""
        title = HTTPStatus(self.status).phrase
        details = ProblemDetails(
            title=title,
            status=self.status,
            detail=self.detail,
            field=self.field,
            problem=self.problem,
            missing=self.missing,
        )
        return details.model_dump_json().encode()


def api_error_of(error: Exception, method: str) -> APIError:
    """Return the error response for an exception; `method` is that of the request."""
    match error:
        case APIError():
            return error
        case FieldError():
            return APIError(400, str(error), field=error.where, problem=error.problem)
        case OperationError():
            return _of_operation(error)
        case HTTPException():
            return _of_http(error, method)
    logger.error("a request to the control API failed", exc_info=error)
    return APIError(500, "internal error: see the log of the server")


def _of_operation(error: OperationError) -> APIError:
    detail, field, problem, missing = str(error), None, None, None
    if isinstance(error, NotFoundError) and not error.reason and error.kind in _HINTS:
        problem, missing = detail, str(error.kind)
        detail = f"{detail}: {_HINTS[error.kind]}"
    elif isinstance(error, ReadOnlyError):
        detail = "the --control-read-token gives read-only access: send the --control-token"
    elif isinstance(error, InvalidError):
        field, problem = error.field, error.problem
    elif isinstance(error, FailedError) and not isinstance(error, UnavailableError):
        logger.error("an operation failed", exc_info=error)
    return APIError(
        next(status for kind, status in _STATUSES if isinstance(error, kind)),
        detail,
        field=field,
        problem=problem,
        missing=missing,
    )


def _of_http(error: HTTPException, method: str) -> APIError:
    allowed = {name.lower(): value for name, value in error.get_headers() if name.lower() == "allow"}
    match error.code:
        case 404:
            detail = "nothing has this path: GET /docs lists all paths"
        case 405:
            detail = f"this path does not accept {method}: use {allowed.get('allow', 'no method')}"
        case 413:
            detail = f"the body is larger than {MAX_BODY} bytes"
        case _:
            detail = error.description or error.name
    return APIError(error.code or 500, detail, headers=allowed)
