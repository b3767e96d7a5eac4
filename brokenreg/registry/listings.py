"""What there is: the ping, tags, referrers and the catalog."""

from __future__ import annotations

import asyncio
import json
from functools import cache
from typing import Any
from urllib.parse import urlencode

from quart import Response

from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.oci.mediatypes import OCI_INDEX
from brokenreg.registry.call import Call
from brokenreg.registry.paging import page_of
from brokenreg.registry.referrers import following, referrers_page


async def ping(_: Call) -> Response:
    """GET `/v2/`: this is a registry."""
    return _json({})


async def list_tags(call: Call) -> Response:
    """GET `/v2/<name>/tags/list`. A fabricated repository has all tags, and lists none."""
    upstream = [] if call.is_fabricated else await _upstream_tags(call)
    here = call.repository.tags.names if call.repository else []
    path = f"{call.target.root}/v2/{call.target.name}/tags/list"
    page, headers = page_of(call.parameter, (here, upstream), path, call.target.query)
    return _json({"name": call.target.name, "tags": page}, headers)


async def list_referrers(call: Call) -> Response:
    """GET `/v2/<name>/referrers/<digest>`: never 404, so that clients know that the API is here."""
    after = call.parameter("last") or ""
    is_known_here = call.repository is not None and call.target.digest in call.repository.referring
    listed = await _upstream_referrers(call, is_known_here=is_known_here)
    here = call.repository.referrers(call.target.digest, after) if call.repository else []
    headers = {}
    found = following(here, listed, after)
    artifact_type = call.parameter("artifactType")
    if artifact_type:
        found = (each for each in found if each.get("artifactType") == artifact_type)
        headers["oci-filters-applied"] = "artifactType"
    # Writing 4 MiB would block the event loop too long.
    index, last = await asyncio.to_thread(referrers_page, found)
    if last is not None:
        kept = {"last": last, **({"artifactType": artifact_type} if artifact_type else {})}
        query = "&".join(filter(None, (urlencode(kept, safe="/:"), call.target.query)))
        path = f"{call.target.root}/v2/{call.target.name}/referrers/{call.target.digest}"
        headers["link"] = f'<{path}?{query}>; rel="next"'
    return Response(index, content_type=OCI_INDEX, headers=headers)


async def list_catalog(call: Call) -> Response:
    """GET `/v2/_catalog`, of the default namespace, with the repositories that the settings invent."""
    await asyncio.sleep(call.catalog.delay)
    lists = call.store.index.catalog, _invented(call.catalog.invented)
    page, headers = page_of(call.parameter, lists, "/v2/_catalog")
    return _json({"repositories": page}, headers)


@cache
def _invented(count: int) -> list[str]:
    """Return that many names of repositories, in order."""
    return sorted(f"catalog/repository-{number:06}" for number in range(1, count + 1))


async def _upstream_tags(call: Call) -> list[str]:
    """What the upstream lists. Its failure is the client's only if nothing was pushed here."""
    try:
        if call.route is not None:
            return await call.proxy.listings.tags(call.route, call.trace)
    except OCIError:
        if call.repository is None:
            raise
    if call.repository is None:
        raise OCIError(404, ErrorCode.NAME_UNKNOWN, f"nothing is in {call.target.name}")
    return []


async def _upstream_referrers(call: Call, *, is_known_here: bool) -> list[dict[str, Any]]:
    """Return the upstream's referrers. They are requested only for manifests that are not here.

    A 404 is passed on to the client, which then requests the fallback tag. If the upstream is not contacted,
    the client still gets a list.
    """
    here = call.repository
    if call.is_fabricated or (here is not None and call.target.digest in here.manifests):
        return []
    try:
        if call.route is not None:
            return await call.proxy.listings.referrers(call.route, call.target.digest, call.trace)
    except OCIError:
        is_closed = call.proxy.is_offline or (call.route is not None and call.route.no_contact_reason)
        if not is_known_here and not is_closed:
            raise
    return []


def _json(document: Any, headers: dict[str, str] | None = None) -> Response:
    body = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    return Response(body, content_type="application/json", headers=headers)
