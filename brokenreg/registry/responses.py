"""The one place where errors become responses, and the plain ASGI way to answer."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from quart import Response
from werkzeug.exceptions import HTTPException

from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.storage.errors import refusal
from brokenreg.wire.asgi import Send

logger = logging.getLogger(__name__)

API_VERSION = ("docker-distribution-api-version", "registry/2.0")


def as_oci_error(error: Exception) -> OCIError:
    """What a client is told of an exception. The unforeseen is logged here, and told in general words."""
    if isinstance(error, OCIError):
        return error
    refused = refusal(error)
    if refused is not None:
        if refused.status == 500:
            logger.error("a request failed: %s", refused.message)
        return refused
    if isinstance(error, HTTPException):
        return _from_quart(error)
    logger.error("a request failed", exc_info=error)
    return OCIError(500, ErrorCode.UNKNOWN, "internal error; the server's diagnostics say more")


def forget_frames(error: BaseException | None) -> None:
    """Drop the references from an error and its causes to the frames that they passed through.

    Some frames refer to the failed task, and so to the error again. This cycle would keep bodies of megabytes
    until a full garbage collection.
    """
    while error is not None and error.__traceback__ is not None:  # a chain can lead back to its beginning
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


def error_headers(error: OCIError) -> dict[str, str]:
    """The headers of an error response in OCI form."""
    return {"content-type": "application/json", **error.headers}


async def respond(
    send: Send, status: int, headers: dict[str, str] | list[tuple[str, str]], body: bytes = b""
) -> None:
    """Send a whole response, adding its length if the headers do not have it.

    A 304 describes a body that it does not have (RFC 9110, 15.4.5), so its type and length are omitted.
    """
    pairs = list(headers.items()) if isinstance(headers, dict) else headers
    if status == 304:
        pairs = [(name, value) for name, value in pairs if name != "content-type"]
    elif not any(name == "content-length" for name, _ in pairs):
        pairs = [*pairs, ("content-length", str(len(body)))]
    await start(send, status, pairs)
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def respond_head(send: Send, status: int, headers: dict[str, str]) -> None:
    """Send the response to a HEAD with these headers, without a length if it is unknown."""
    await start(send, status, headers)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def empty_response(status: int, headers: Mapping[str, str] | None = None) -> Response:
    """Return a Quart response without a body: `Content-Length: 0` and no Content-Type."""
    response = Response(b"", status, headers={**(headers or {}), "content-length": "0"})
    del response.headers["content-type"]
    return response


async def respond_plain(send: Send, status: int, headers: dict[str, str], body: bytes = b"") -> None:
    """Send a whole response that is no registry's."""
    pairs = [*headers.items(), ("content-length", str(len(body)))]
    encoded = [(name.encode("ascii"), value.encode("latin-1")) for name, value in pairs]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def respond_error(send: Send, error: OCIError) -> None:
    """Send an error in OCI form."""
    await respond(send, error.status, error_headers(error), error.body())


async def start(send: Send, status: int, headers: dict[str, str] | list[tuple[str, str]]) -> None:
    """Send status and headers; the body is to follow."""
    pairs = [API_VERSION, *(headers.items() if isinstance(headers, dict) else headers)]
    encoded = [(name.encode("ascii"), value.encode("latin-1")) for name, value in pairs]
    await send({"type": "http.response.start", "status": status, "headers": encoded})


def _from_quart(error: HTTPException) -> OCIError:
    status = error.code or 500
    code = ErrorCode.SIZE_INVALID if status == 413 else ErrorCode.UNSUPPORTED
    return OCIError(status, code, error.description or error.name)
