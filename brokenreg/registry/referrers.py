"""The list of referrers as clients read it: an index of descriptors, in pages (distribution-spec, "Listing
Referrers").
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import Any

from brokenreg.oci.mediatypes import MAX_MANIFEST, OCI_INDEX

PAGE = MAX_MANIFEST
"""Bytes of a page at most: clients read an index of no more."""

Descriptor = Mapping[str, Any]

_HEAD = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX}, separators=(",", ":"))[:-1].encode()
_HEAD += b',"manifests":['
_TAIL = b"]}"
_ALWAYS_TOLD = ("mediaType", "digest", "size", "artifactType")


def referrers_page(descriptors: Iterable[Descriptor], after: str = "") -> tuple[bytes, str | None]:
    """The index of the `descriptors` after a digest, and the last digest in it if there are more.

    In order of digest, so that a page is right whatever was pushed or deleted since the one before.
    """
    ordered = sorted(descriptors, key=_digest)
    begin = bisect_right(ordered, after, key=_digest)
    room = PAGE - len(_HEAD) - len(_TAIL)
    parts: list[bytes] = []
    last = None
    for descriptor in ordered[begin:]:
        part = _written(descriptor)
        if len(part) > room and not parts:  # it fits into no page: the client can still see that it is there
            part = _written({key: descriptor[key] for key in _ALWAYS_TOLD if key in descriptor})
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
