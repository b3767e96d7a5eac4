"""The registry: a handler with a table of endpoints (distribution-spec 1.1, "Endpoints")."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

from brokenreg.http.asgi import (
    ZERO_COPY,
    ClientDisconnectedError,
    Handled,
    ReadyResponse,
    Receive,
    Scope,
    Send,
    complete,
)
from brokenreg.late_imports import Late
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.oci.target import Endpoint
from brokenreg.registry.auth.token_endpoint import get_token, post_token
from brokenreg.registry.blobs import delete_blob, get_blob
from brokenreg.registry.catching_up import caught_up, needs_newest
from brokenreg.registry.listings import list_catalog, list_tags, ping
from brokenreg.registry.manifests import delete_manifest, get_manifest, put_manifest
from brokenreg.registry.referrers import list_referrers
from brokenreg.registry.request import RegistryRequest, Services
from brokenreg.registry.responses import Response, as_oci_error, error_response, send_parts
from brokenreg.registry.uploads import cancel_upload, get_upload, patch_upload, put_upload, start_upload
from brokenreg.traffic.recorder import exchange_of
from brokenreg.traffic.timeline_events import ResponseCutShort
from brokenreg.wire.stream import stream_of

if TYPE_CHECKING:
    from brokenreg.registry.quart_endpoints import QuartEndpoints

EndpointFunction = Callable[[RegistryRequest], Response | Awaitable[Response]]
"""Responds to a request immediately, or returns a coroutine if it must wait or read the request's body."""

_ENDPOINTS: dict[Endpoint, dict[str, EndpointFunction]] = {
    Endpoint.PING: {"GET": ping, "HEAD": ping},
    Endpoint.TOKEN: {"GET": get_token, "POST": post_token},
    Endpoint.CATALOG: {"GET": list_catalog, "HEAD": list_catalog},
    Endpoint.TAGS: {"GET": list_tags, "HEAD": list_tags},
    Endpoint.REFERRERS: {"GET": list_referrers, "HEAD": list_referrers},
    Endpoint.MANIFEST: {
        "GET": get_manifest,
        "HEAD": get_manifest,
        "PUT": put_manifest,
        "DELETE": delete_manifest,
    },
    Endpoint.LAYER: {"GET": get_blob, "HEAD": get_blob, "DELETE": delete_blob},
    Endpoint.CONFIG: {"GET": get_blob, "HEAD": get_blob, "DELETE": delete_blob},
    Endpoint.UPLOAD: {
        "GET": get_upload,
        "PATCH": patch_upload,
        "PUT": put_upload,
        "DELETE": cancel_upload,
    },
}
_UPLOADS: dict[str, EndpointFunction] = {"POST": start_upload}
"""The methods of `/v2/<name>/blobs/uploads/`, where sessions start."""

_NOT_STORING = frozenset({"GET", "HEAD", "DELETE"})

_QUART = frozenset({Endpoint.TOKEN, Endpoint.REFERRERS})
"""The endpoints that Quart serves. They are rarely used, do not read a body, and send a short one."""


class Registry:
    """Serves `/v2/` and `/token`. The recorder has already parsed the target of the request."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.quart = Late(_quart_endpoints)
        """The endpoints that Quart serves. Quart is imported after startup."""

    def __call__(self, scope: Scope, receive: Receive) -> Handled:
        """Return the response, or a function that sends it if it is not ready."""
        request = RegistryRequest(self._services, scope, receive)
        if request.target.endpoint in _QUART and request.method in ("GET", "HEAD"):
            return partial(self._respond_by_quart, request, receive)
        response = _start(request)
        if isinstance(response, ReadyResponse) and request.opened is None:
            return response
        return partial(_finish, request, response)

    async def _respond_by_quart(self, request: RegistryRequest, receive: Receive, send: Send) -> None:
        respond = await self.quart.get()
        async with request.resources:
            await respond(request, request.scope, receive, send)


def _quart_endpoints() -> QuartEndpoints:
    from brokenreg.registry.quart_endpoints import quart_endpoints

    return quart_endpoints(lambda request: _response_to(_start(request)))


def _start(request: RegistryRequest) -> Response | Awaitable[Response]:
    """Return the response to a request, which may be an error, or an awaitable for it."""
    try:
        respond = endpoint_of(request)
        if request.store.index.is_shared and needs_newest(request):
            return caught_up(request, respond)
        return respond(request)
    except Exception as error:  # noqa: BLE001 - every error becomes a response in OCI form
        return error_response(as_oci_error(error))


async def _response_to(response: Response | Awaitable[Response]) -> Response:
    """Wait for a response, which may be an error. Raise `ClientDisconnectedError`."""
    try:
        return response if isinstance(response, Response) else await response
    except ClientDisconnectedError:
        raise
    except Exception as error:  # noqa: BLE001 - every error becomes a response in OCI form
        return error_response(as_oci_error(error))


async def _finish(request: RegistryRequest, started: Response | Awaitable[Response], send: Send) -> None:
    """Wait for the response, and send it with the parts of its body."""
    scope = request.scope
    async with request.resources:
        response = await _response_to(started)
        if isinstance(response, ReadyResponse):
            await complete(response, send)
            return
        zero_copy = ZERO_COPY in scope["extensions"]
        try:
            await send_parts(send, response, request.room, zero_copy=zero_copy)
        except ClientDisconnectedError:
            raise
        except Exception as error:  # noqa: BLE001 - the response must not look complete
            _cut_short(scope, as_oci_error(error))


def endpoint_of(request: RegistryRequest) -> EndpointFunction:
    """Return the function that responds to a request.

    Raise `OCIError` for an invalid target, or 405 UNSUPPORTED with the allowed methods.
    """
    target, method = request.target, request.method
    if target.error is not None:
        raise _missing(target.error) if method in _NOT_STORING else target.error
    is_start = target.endpoint is Endpoint.UPLOAD and not target.reference
    methods = _UPLOADS if is_start else _ENDPOINTS[target.endpoint]
    if method in methods:
        return methods[method]
    allowed = ", ".join(sorted(methods))
    raise OCIError(
        405,
        ErrorCode.UNSUPPORTED,
        f"invalid method {method} for this endpoint: use {allowed}",
        headers={"allow": allowed},
    )


def _missing(error: OCIError) -> OCIError:
    """Return the error for a tag that cannot exist: only a push says that a tag is invalid.

    The conformance tests of distribution-spec 1.1 require a 404 for the manifest `.INVALID_MANIFEST_NAME`.
    """
    if error.code != ErrorCode.TAG_INVALID:
        return error
    return OCIError(404, ErrorCode.MANIFEST_UNKNOWN, error.message, detail=error.detail)


def _cut_short(scope: Scope, error: OCIError) -> None:
    """Cut a response whose head was sent, so that it does not look complete."""
    exchange_of(scope).add(ResponseCutShort(error.message))
    stream_of(scope).abort()
