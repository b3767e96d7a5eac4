"""Errors for failed requests to upstreams, in the OCI form that clients get.

`proxy.http.statuses` creates them from the statuses of upstreams.
"""

from __future__ import annotations

import re
from typing import Self

from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.redaction import redact_text
from brokenreg.wording import printable

_RETRY_AFTER = re.compile(r"[0-9A-Za-z,: +-]{1,64}")
"""A number of seconds, or a date in one of the forms of RFC 9110, section 5.6.7."""


class UpstreamError(OCIError):
    """An upstream did not provide the requested content; `is_transient` if a later request may succeed.

    The message may quote the upstream, so secrets in it are replaced.
    """

    is_transient = False
    is_outage = False
    """Whether the upstream itself did not respond, so that the failure concerns all of its content."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        detail: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(status, code, redact_text(message), detail=detail, headers=headers)


class UpstreamUnreachableError(UpstreamError):
    """502: the connection or TLS failed, the response was not HTTP, or it was cut off."""

    is_transient = True

    def __init__(self, message: str) -> None:
        super().__init__(502, ErrorCode.UNAVAILABLE, message)


class UpstreamSilentError(UpstreamError):
    """504: the upstream did not respond in time, or its response stalled."""

    is_transient = True

    def __init__(self, message: str) -> None:
        super().__init__(504, ErrorCode.TIMEOUT, message)


class UpstreamContentError(UpstreamError):
    """502: the content is invalid, or does not match its digest or its length."""

    def __init__(self, message: str) -> None:
        super().__init__(502, ErrorCode.UNAVAILABLE, message)


class UpstreamTokenServiceError(UpstreamError):
    """502: a token service failed: it neither granted nor refused a token. Cached content stays valid."""

    is_transient = True

    def __init__(self, message: str) -> None:
        super().__init__(502, ErrorCode.UNAVAILABLE, message)


class UpstreamForbiddenError(UpstreamError):
    """403: the settings do not allow that upstream or its address (`--allow-upstream`)."""

    def __init__(self, message: str) -> None:
        super().__init__(403, ErrorCode.DENIED, message)


class UpstreamNameError(UpstreamError):
    """400: the name of an upstream is not a valid host name or address."""

    def __init__(self, upstream: str) -> None:
        super().__init__(
            400,
            ErrorCode.NAME_INVALID,
            f'invalid upstream "{printable(upstream)[:100]}": use a host name, an IPv4 address of four '
            "decimal numbers without leading zeros, or an IPv6 address in brackets",
        )


class UpstreamLoopError(UpstreamError):
    """403: the request has come back to this proxy. Registries do not use 508.

    Proxy-Status (RFC 9209) reports the loop to the proxies that sent the request.
    """

    def __init__(self, message: str) -> None:
        headers = {"proxy-status": "brokenreg; error=proxy_loop_detected"}
        super().__init__(403, ErrorCode.DENIED, message, headers=headers)


class UpstreamBusyError(UpstreamError):
    """503: too many upstreams, requests or lookups are in use."""

    is_transient = True

    def __init__(self, message: str) -> None:
        headers = {"retry-after": "10"}
        super().__init__(503, ErrorCode.UNAVAILABLE, message, headers=headers)


class UpstreamStatusError(UpstreamError):
    """The upstream responded with an error; `upstream_status` is its status, `status` the client's."""

    def __init__(
        self,
        upstream_status: int,
        status: int,
        code: str,
        message: str,
        *,
        detail: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(status, code, message, detail=detail, headers=headers)
        self.upstream_status = upstream_status
        self.is_transient = upstream_status == 429 or upstream_status >= 500

    @property
    def is_gone(self) -> bool:
        """Return whether the upstream says that it does not have the content."""
        return self.status == 404

    def copy(self) -> Self:
        """Return a copy for another request: a raised error keeps references to the frames it passed."""
        return type(self)(
            self.upstream_status,
            self.status,
            self.code,
            self.message,
            detail=self.detail,
            headers=self.headers,
        )

    @classmethod
    def too_many_requests(cls, server: str, retry_after: str | None, suffix: str = "") -> Self:
        """Return the error for a 429 from `server`, with its Retry-After if valid.

        `suffix` is appended to the message.
        """
        valid = retry_after if _RETRY_AFTER.fullmatch(retry_after or "") else None
        headers = None if valid is None else {"retry-after": valid}
        message = f"{server} has received too many requests{suffix}"
        return cls(429, 429, ErrorCode.TOOMANYREQUESTS, message, headers=headers)
