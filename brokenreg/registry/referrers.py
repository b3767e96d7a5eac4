"""Builds pages of referrers: indexes of descriptors (distribution-spec, "Listing Referrers")."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import merge
from itertools import groupby
from typing import Any

from brokenreg.oci.mediatypes import MAX_MANIFEST, OCI_INDEX
from brokenreg.storage.records import Manifest

PAGE = MAX_MANIFEST
"""Maximum size of a page, in bytes: clients do not read larger indexes."""

Descriptor = Mapping[str, Any]

_HEAD = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX}, separators=(",", ":"))[:-1].encode()
_HEAD += b',"manifests":['
_TAIL = b"]}"
_ALWAYS_TOLD = ("mediaType", "digest", "size", "artifactType")


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

    They are in order of digest, so that pages stay correct if referrers are pushed or deleted in between.
    """
    room = PAGE - len(_HEAD) - len(_TAIL)
    parts: list[bytes] = []
    last = None
    for descriptor in descriptors:
        part = _written(descriptor)
        if len(part) > room and not parts:  # too large for any page: send only the main fields
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
