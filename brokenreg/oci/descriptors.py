"""Reads the descriptors of a manifest or index in order (image-spec, "Content Descriptors")."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from brokenreg.oci.digests import Digest
from brokenreg.oci.errors import OCIError


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A descriptor, read leniently. `size` is in bytes; missing values are None or empty."""

    digest: Digest
    media_type: str
    size: int | None
    platform: str


@dataclass(frozen=True, slots=True)
class Parts:
    """The descriptors in a document. `left_out` is the number of those beyond the limit."""

    config: Descriptor | None = None
    layers: tuple[Descriptor, ...] = ()
    manifests: tuple[Descriptor, ...] = ()
    left_out: int = 0


def parts_of(body: bytes, most: int) -> Parts:
    """Return at most `most` layers and `most` manifests of a document; none if it is not JSON."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return Parts()
    if not isinstance(document, dict):
        return Parts()
    layers, more_layers = _listed(document.get("layers"), most)
    manifests, more_manifests = _listed(document.get("manifests"), most)
    return Parts(_descriptor(document.get("config")), layers, manifests, more_layers + more_manifests)


def described_sizes(body: bytes, digest: Digest) -> set[int]:
    """Return the sizes, in bytes, in all descriptors of a manifest that have that digest."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return set()
    found: set[int] = set()
    waiting: list[Any] = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            size = _size(value.get("size"))
            if size is not None and value.get("digest") == digest:
                found.add(size)
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return found


def _listed(value: Any, most: int) -> tuple[tuple[Descriptor, ...], int]:
    items = value if isinstance(value, list) else []
    found = [_descriptor(item) for item in items[:most]]
    return tuple(each for each in found if each is not None), len(items[most:])


def _descriptor(value: Any) -> Descriptor | None:
    if not isinstance(value, dict):
        return None
    try:
        digest = Digest.parse(_text(value.get("digest")))
    except OCIError:
        return None
    return Descriptor(
        digest,
        _text(value.get("mediaType")),
        _size(value.get("size")),
        _platform(value.get("platform")),
    )


def _size(value: Any) -> int | None:
    """Return a size, or None if it is not an int64, as the specification requires."""
    is_size = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63
    return value if is_size else None


def _platform(value: Any) -> str:
    """Return a platform as text: `linux/arm/v7`, with the version of the operating system if given."""
    if not isinstance(value, dict):
        return ""
    names = [_text(value.get(member)) for member in ("os", "architecture", "variant")]
    version = _text(value.get("os.version"))
    return "/".join(filter(None, names)) + (f" {version}" if version else "")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
