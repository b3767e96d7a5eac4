"""The registry as one ASGI application.

The target of a request chooses its endpoint; Quart serves the light ones, the heavy and the hot are plain
ASGI. Either way an error becomes a response in `brokenreg.registry.responses` alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from quart import Quart, Response, request

from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.oci.target import Endpoint, Target
from brokenreg.registry.blobs import delete_blob, get_blob
from brokenreg.registry.call import Call, Services, StreamCall
from brokenreg.registry.listings import list_catalog, list_referrers, list_tags, ping
from brokenreg.registry.manifests import delete_manifest, get_manifest, put_manifest
from brokenreg.registry.responses import (
    API_VERSION,
    as_oci_error,
    error_headers,
    forget_frames,
    respond_error,
)
from brokenreg.registry.tokens import get_token, post_token
from brokenreg.registry.uploads import delete_upload, get_upload, patch_upload, post_upload, put_upload
from brokenreg.wire.asgi import ClientDisconnectedError, Receive, Scope, Send
from brokenreg.wire.connection_middleware import stream_of

Plain = Callable[[StreamCall], Awaitable[None]]
View = Callable[[Call], Awaitable[Response]]

_PLAIN: dict[Endpoint, dict[str, Plain]] = {
    Endpoint.TOKEN: {"GET": get_token, "POST": post_token},
    Endpoint.MANIFEST: {"GET": get_manifest, "HEAD": get_manifest, "PUT": put_manifest},
    Endpoint.LAYER: {"GET": get_blob, "HEAD": get_blob},
    Endpoint.UPLOAD: {"POST": post_upload, "PATCH": patch_upload, "PUT": put_upload},
}
_VIEWS: dict[Endpoint, dict[str, View]] = {
    Endpoint.PING: {"GET": ping, "HEAD": ping},
    Endpoint.MANIFEST: {"DELETE": delete_manifest},
    Endpoint.LAYER: {"DELETE": delete_blob},
    Endpoint.UPLOAD: {"GET": get_upload, "DELETE": delete_upload},
    Endpoint.TAGS: {"GET": list_tags, "HEAD": list_tags},
    Endpoint.REFERRERS: {"GET": list_referrers, "HEAD": list_referrers},
    Endpoint.CATALOG: {"GET": list_catalog, "HEAD": list_catalog},
}


class Registry:
    """Serves `/v2/` and `/token`; stands inside the recorder, which parsed the target."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._quart = _make_quart(services)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = StreamCall(self._services, scope, receive, send)
        try:
            endpoint = _checked_endpoint(call.target, call.method)
            plain = _PLAIN.get(endpoint, {}).get(call.method)
            if plain is None:
                await self._quart({**scope, "path": f"/{endpoint}"}, receive, send)  # type: ignore[arg-type]
            else:
                await plain(call)
        except ClientDisconnectedError:
            raise
        except ExceptionGroup as group:  # Quart answers inside a task group from Python 3.13 on
            _, others = group.split(ClientDisconnectedError)
            if others is None:
                raise ClientDisconnectedError from None
            await _answer(call, others)
        except Exception as error:  # noqa: BLE001 - every failure is answered in OCI form
            await _answer(call, error)


async def _answer(call: StreamCall, error: Exception) -> None:
    told = as_oci_error(error)
    forget_frames(error)
    if call.has_answered:
        # Too late for an error: only a cut connection tells the client that the content is not whole.
        call.trace.tell(f"cut short: {told.message}")
        stream_of(call.scope).connection.abort()
        return
    await respond_error(call.send, told)


def _checked_endpoint(target: Target, method: str) -> Endpoint:
    """Which endpoint serves the target. Raise `OCIError` if the target is bad or the method not for it."""
    if target.error is not None:
        raise target.error
    endpoint = Endpoint.LAYER if target.endpoint is Endpoint.CONFIG else target.endpoint
    methods = {*_PLAIN.get(endpoint, ()), *_VIEWS.get(endpoint, ())}
    if endpoint is Endpoint.UPLOAD:  # a session, or where sessions begin
        methods = methods - {"POST"} if target.reference else {"POST"}
    if method not in methods:
        allowed = ", ".join(sorted(methods))
        raise OCIError(
            405,
            ErrorCode.UNSUPPORTED,
            f"{method} is not for this endpoint; it takes {allowed}",
            headers={"allow": allowed},
        )
    return endpoint


def _make_quart(services: Services) -> Quart:
    """A Quart application whose routes are named after endpoints: the target was parsed already."""
    app = Quart("brokenreg.registry", static_folder=None)
    # Held and slow responses must not be cut by a timer of the framework.
    app.config.update(RESPONSE_TIMEOUT=None, BODY_TIMEOUT=None)
    for endpoint, views in _VIEWS.items():
        for method, view in views.items():
            if method != "HEAD":  # Quart answers HEAD with what it has for GET
                app.add_url_rule(
                    f"/{endpoint}", f"{method} {endpoint}", _adapted(services, view), methods=[method]
                )
    app.register_error_handler(Exception, _on_error)
    return app


def _adapted(services: Services, view: View) -> Callable[[], Awaitable[Response]]:
    async def adapted() -> Response:
        response = await view(Call(services, request.scope))  # type: ignore[arg-type]
        response.headers.set(*API_VERSION)
        return response

    return adapted


async def _on_error(error: Exception) -> Response:
    told = as_oci_error(error)
    return Response(told.body(), told.status, headers=dict([API_VERSION, *error_headers(told).items()]))
