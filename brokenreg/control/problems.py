"""Errors of the control API (RFC 9457, "Problem Details for HTTP APIs")."""

from __future__ import annotations

from http import HTTPStatus

from pydantic import BaseModel, ConfigDict, Field

MEDIA_TYPE = "application/problem+json"


class ProblemDetails(BaseModel):
    """What is wrong: `detail` in words, `field` where in the request."""

    model_config = ConfigDict(frozen=True)

    type: str = "about:blank"
    title: str
    status: int = Field(ge=400, le=599)
    detail: str
    field: str | None = Field(None, description="for instance `rules[2].fault.after`; null if it is no field")


class Problem(Exception):  # noqa: N818 - RFC 9457's word
    """A request that cannot be answered as asked; `headers` are added to the answer."""

    def __init__(
        self, status: int, detail: str, *, field: str | None = None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.field = field
        self.headers = headers or {}

    def body(self) -> bytes:
        """The JSON document."""
        title = HTTPStatus(self.status).phrase
        details = ProblemDetails(title=title, status=self.status, detail=self.detail, field=self.field)
        return details.model_dump_json().encode()
