"""Faults that answer with another status."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from brokenreg.faults.catalogue.base import Fault, Strike
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.oci.target import Endpoint

_USUAL = {
    400: (ErrorCode.MANIFEST_INVALID, "This request looks broken, as it was told to"),
    401: (ErrorCode.UNAUTHORIZED, "Authentication required"),
    403: (ErrorCode.FORBIDDEN, "Fakereg: Access to this resource is forbidden"),
    404: (ErrorCode.MANIFEST_UNKNOWN, "Looking for something?"),
    # Not what the words say; clients' output depends on it since the predecessor.
    405: (ErrorCode.UNAUTHORIZED, "Method not allowed"),
    408: (ErrorCode.TIMEOUT, "Request timeout"),
    429: (ErrorCode.TOOMANYREQUESTS, "Too many requests"),
    500: (ErrorCode.INTERNAL_SERVER_ERROR, "Out of order, on purpose"),
    503: (ErrorCode.UNAVAILABLE, "Service unavailable"),
}


class Error(Fault):
    """Answers `status` with an error in OCI form, and nothing of what was asked for."""

    name: ClassVar[str] = "error"
    endpoint: ClassVar[Endpoint] = Endpoint.MANIFEST
    tag_example: ClassVar[str] = "404"

    status: int = Field(500, ge=400, le=599, description="HTTP status, 400 to 599")
    code: str | None = Field(
        None, pattern=r"^[A-Z_]{1,64}$", description="error code; the usual one if absent"
    )
    message: str | None = Field(None, max_length=1024, description="error message; the usual one if absent")

    async def strike(self, strike: Strike) -> None:
        code, message = _USUAL.get(
            self.status, (ErrorCode.UNKNOWN, f"Status {self.status}, as it was told to")
        )
        await strike.respond_error(OCIError(self.status, self.code or code, self.message or message))

    @classmethod
    def short_form(cls, tag: str) -> dict[str, str] | None:
        return {"status": tag} if tag.isascii() and tag.isdigit() else None

    @classmethod
    def tag_problem(cls, tag: str, problem: str) -> str:
        return (
            f"broken/error:{tag}: {problem}; a tag is a status from 400 to 599, for instance broken/error:404"
        )
