"""The table of endpoints: which function responds to which method (distribution-spec 1.1, "Endpoints")."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.oci.target import Endpoint, Target
from brokenreg.registry.auth.token_endpoint import get_token, post_token
from brokenreg.registry.blobs import delete_blob, get_blob
from brokenreg.registry.listings import list_catalog, list_tags, ping
from brokenreg.registry.manifests import delete_manifest, get_manifest, put_manifest
from brokenreg.registry.referrers import list_referrers
from brokenreg.registry.request import RegistryRequest
from brokenreg.registry.responses import Response
from brokenreg.registry.uploads import (
    cancel_upload,
    get_upload,
    patch_upload,
    put_upload,
    start_upload,
)

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


def endpoint_for(target: Target, method: str) -> EndpointFunction:
    """Return the function that responds to a method.

    Raise `OCIError`: that of an invalid target, or 405 UNSUPPORTED with the methods that are allowed.
    """
    if target.error is not None:
        raise target.error
    is_start = target.endpoint is Endpoint.UPLOAD and not target.reference
    methods = _UPLOADS if is_start else _ENDPOINTS[target.endpoint]
    if method in methods:
        return methods[method]
    allowed = ", ".join(sorted(methods))
    raise OCIError(
        405,
        ErrorCode.UNSUPPORTED,
        f"{method} is not for this endpoint; it takes {allowed}",
        headers={"allow": allowed},
    )
