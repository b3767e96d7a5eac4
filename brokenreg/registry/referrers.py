"""The list of referrers as clients read it: an index of descriptors, in pages (distribution-spec, "Listing
Referrers").
"""

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
"""Bytes of a page at most: clients read an index of no more."""

Descriptor = Mapping[str, Any]

_HEAD = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX}, separators=(",", ":"))[:-1].encode()
_HEAD += b',"manifests":['
_TAIL = b"]}"
_ALWAYS_TOLD = ("mediaType", "digest", "size", "artifactType")


def following(here: Iterable[Manifest], listed: Sequence[Descriptor], after: str) -> Iterator[Descriptor]:
    """The descriptors after a digest, in order of digest; nothing is made of those that nobody reads.

    `here` begins after that digest already; `listed` is what an upstream lists. Both are in order, and of two
    with the same digest the one of `here` is returned.
    """
    begin = bisect_right(listed, after, key=_digest)
    others = (listed[place] for place in range(begin, len(listed)))
    merged = merge((manifest.descriptor() for manifest in here), others, key=_digest)
    return (next(same) for _, same in groupby(merged, key=_digest))


def referrers_page(descriptors: Iterable[Descriptor]) -> tuple[bytes, str | None]:
    """The index of the first of the `descriptors`, and the last digest in it if there are more.

    They are in order of digest, so that a page is right whatever was pushed or deleted since the one before.
    """
    room = PAGE - len(_HEAD) - len(_TAIL)
    parts: list[bytes] = []
    last = None
    for descriptor in descriptors:
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
