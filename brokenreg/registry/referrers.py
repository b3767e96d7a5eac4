"""Lists of referrers: indexes of descriptors, in pages (distribution-spec, "Listing Referrers")."""

from __future__ import annotations

import asyncio
import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import merge
from itertools import groupby
from typing import Any
from urllib.parse import urlencode

from brokenreg.oci.errors import OCIError
from brokenreg.oci.mediatypes import MAX_MANIFEST, OCI_INDEX
from brokenreg.registry.request import RegistryRequest
from brokenreg.registry.responses import Response, ready_response
from brokenreg.storage.records import Manifest

PAGE = MAX_MANIFEST
"""Maximum size of a page, in bytes: clients do not read larger indexes."""

Descriptor = Mapping[str, Any]

_HEAD = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX}, separators=(",", ":"))[:-1].encode()
_HEAD += b',"manifests":['
_TAIL = b"]}"
_MAIN_FIELDS = ("mediaType", "digest", "size", "artifactType")


async def list_referrers(request: RegistryRequest) -> Response:
    """GET `/v2/<name>/referrers/<digest>`: list the referrers.

    The list may be empty: a 404 would mean that the registry does not support this endpoint.
    """
    after = request.parameter("last") or ""
    is_known_here = request.repository is not None and request.target.digest in request.repository.referring
    listed = await _upstream_referrers(request, is_known_here=is_known_here)
    here = request.repository.referrers(request.target.digest, after) if request.repository else []
    headers = {"content-type": OCI_INDEX}
    found = following(here, listed, after)
    artifact_type = request.parameter("artifactType")
    if artifact_type:
        found = (each for each in found if each.get("artifactType") == artifact_type)
        headers["oci-filters-applied"] = "artifactType"
    # Writing 4 MiB would block the event loop too long.
    index, last = await asyncio.to_thread(referrers_page, found)
    if last is not None:
        kept = {"last": last, **({"artifactType": artifact_type} if artifact_type else {})}
        query = "&".join(filter(None, (urlencode(kept, safe="/:"), request.target.query)))
        path = f"{request.target.root}/v2/{request.target.name}/referrers/{request.target.digest}"
        headers["link"] = f'<{path}?{query}>; rel="next"'
    return ready_response(200, headers, index)


async def _upstream_referrers(request: RegistryRequest, *, is_known_here: bool) -> list[dict[str, Any]]:
    """Return the upstream's referrers. They are requested only for manifests that are not stored here.

    A 404 is passed on to the client, which then requests the fallback tag. If the upstream is not contacted,
    the client still gets a list.
    """
    here = request.repository
    if request.is_fabricated:
        recalling = request.images.recall(request.target.repository, request.target.digest, request.trace)
        await request.unless_gone(recalling)
        return list(request.images.referrers(request.target.repository, request.target.digest))
    if here is not None and request.target.digest in here.manifests:
        return []
    try:
        if request.route is not None:
            listing = request.proxy.listings.referrers(request.route, request.target.digest, request.trace)
            return await request.unless_gone(listing)
    except OCIError:
        is_closed = request.proxy.is_offline or (
            request.route is not None and request.route.no_contact_reason
        )
        if not is_known_here and not is_closed:
            raise
    return []


def following(here: Iterable[Manifest], listed: Sequence[Descriptor], after: str) -> Iterator[Descriptor]:
    """Yield the descriptors after a digest, in order of digest. Descriptors are created lazily.

    `here` must begin after that digest; `listed` is the upstream's list. Both are in order. If both have a
    digest, the descriptor of `here` is returned.
    """
    begin = bisect_right(listed, after, key=_digest)
    others = (listed[place] for place in range(begin, len(listed)))
    merged = merge((manifest.descriptor() for manifest in here), others, key=_digest)
    return (next(same) for _, same in groupby(merged, key=_digest))


def referrers_page(descriptors: Iterable[Descriptor]) -> tuple[bytes, str | None]:
    """Return an index of the first `descriptors`, and its last digest if more follow.

    `descriptors` are in order of digest, so that pages stay correct if referrers are pushed or deleted
    between two requests.
    """
    room = PAGE - len(_HEAD) - len(_TAIL)
    parts: list[bytes] = []
    last = None
    for descriptor in descriptors:
        part = _written(descriptor)
        if len(part) > room and not parts:  # too large for any page: send only the main fields
            part = _written({key: descriptor[key] for key in _MAIN_FIELDS if key in descriptor})
        if len(part) > room and parts:
            return _index(parts), last
        parts.append(part)
        room -= len(part) + 1
        last = _digest(descriptor)
    return _index(parts), None


def _digest(descriptor: Descriptor) -> str:
    return str(descriptor["digest"])


def _written(descriptor: Descriptor) -> bytes:
    return json.dumps(descriptor, separators=(",", ":"), ensure_ascii=False).encode()


def _index(parts: list[bytes]) -> bytes:
    return _HEAD + b",".join(parts) + _TAIL
