"""Errors in OCI form (distribution-spec, "Error Codes").

Every failure that a client may see is an `OCIError`. It is raised where the failure is detected, and turned
into a response in one place (`brokenreg.registry.responses`).
"""

from __future__ import annotations

import errno
import json
from enum import StrEnum
from typing import Any


class ErrorCode(StrEnum):
    """Error codes of distribution-spec 1.1, followed by others that registries use."""

    BLOB_UNKNOWN = "BLOB_UNKNOWN"
    BLOB_UPLOAD_INVALID = "BLOB_UPLOAD_INVALID"
    BLOB_UPLOAD_UNKNOWN = "BLOB_UPLOAD_UNKNOWN"
    DIGEST_INVALID = "DIGEST_INVALID"
    MANIFEST_BLOB_UNKNOWN = "MANIFEST_BLOB_UNKNOWN"
    MANIFEST_INVALID = "MANIFEST_INVALID"
    MANIFEST_UNKNOWN = "MANIFEST_UNKNOWN"
    NAME_INVALID = "NAME_INVALID"
    NAME_UNKNOWN = "NAME_UNKNOWN"
    SIZE_INVALID = "SIZE_INVALID"
    UNAUTHORIZED = "UNAUTHORIZED"
    DENIED = "DENIED"
    UNSUPPORTED = "UNSUPPORTED"
    TOOMANYREQUESTS = "TOOMANYREQUESTS"
    # Not in the specification. Docker's registry uses TAG_INVALID, RANGE_INVALID, PAGINATION_NUMBER_INVALID,
    # UNKNOWN and UNAVAILABLE; the predecessor uses the others.
    TAG_INVALID = "TAG_INVALID"
    RANGE_INVALID = "RANGE_INVALID"
    PAGINATION_NUMBER_INVALID = "PAGINATION_NUMBER_INVALID"
    UNKNOWN = "UNKNOWN"
    UNAVAILABLE = "UNAVAILABLE"
    BAD_REQUEST = "BAD_REQUEST"
    FORBIDDEN = "FORBIDDEN"
    TIMEOUT = "TIMEOUT"
    INTERNAL_SERVER_ERROR = "INTERNAL_SERVER_ERROR"


class OCIError(Exception):
    """A failure with a status, an error code and a message for the client.

    `headers` are added to the response (`retry-after`, `allow`, `range`, ...); their names are in lower case.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        detail: Any = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = str(code)
        self.message = message
        self.detail = detail
        self.headers = headers or {}

    def body(self) -> bytes:
        """Return the JSON body that the specification requires."""
        return error_body(self.code, self.message, self.detail)


def shutting_down() -> OCIError:
    """Return the error for requests that a closing component no longer serves."""
    return OCIError(503, ErrorCode.UNAVAILABLE, "the registry is shutting down", headers={"retry-after": "5"})


NO_DESCRIPTOR = "brokenreg has reached its limit on open files and connections (ulimit -n); try again later"
TOO_MANY_FILES = (errno.EMFILE, errno.ENFILE)
"""The error numbers that mean that no file descriptor is left."""


def too_many_files() -> OCIError:
    """Return the error for a file or connection for which no file descriptor is left."""
    return OCIError(503, ErrorCode.UNAVAILABLE, NO_DESCRIPTOR, headers={"retry-after": "10"})


def error_body(code: str, message: str, detail: Any = None) -> bytes:
    """Return `{"errors": [{"code", "message", "detail"?}]}` as compact JSON."""
    error: dict[str, Any] = {"code": str(code), "message": message}
    if detail is not None:
        error["detail"] = detail
    return json.dumps({"errors": [error]}, separators=(",", ":"), ensure_ascii=False).encode()
