"""Conditional requests (RFC 9110, section 13): a digest is the best entity tag there is."""

from __future__ import annotations

from brokenreg.oci.digests import Digest
from brokenreg.registry.call import Call


def entity_tag(digest: Digest) -> str:
    """The strong entity tag of content."""
    return f'"{digest}"'


def is_known(call: Call, digest: Digest) -> bool:
    """Whether If-None-Match says that the client has the content already, so that 304 is the answer."""
    candidates = (call.header("if-none-match") or "").split(",")
    tags = {candidate.strip().removeprefix("W/") for candidate in candidates}
    return not tags.isdisjoint({entity_tag(digest), "*"})


def range_applies(call: Call, digest: Digest) -> bool:
    """Whether a Range header counts: it does unless If-Range names other content."""
    return call.method == "GET" and call.header("if-range") in (None, entity_tag(digest))
