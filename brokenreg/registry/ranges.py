"""Range requests (RFC 9110, section 14)."""

from __future__ import annotations

import re

from brokenreg.oci.digests import Digest
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.registry.request import RegistryRequest
from brokenreg.registry.responses import entity_tag
from brokenreg.wording import counted

_RANGE = re.compile(r"bytes=\s*(?:([0-9]{1,19})\s*-\s*([0-9]{1,19})?|-\s*([0-9]{1,19}))\s*", re.IGNORECASE)


def range_of(request: RegistryRequest, digest: Digest) -> str | None:
    """Return the Range header of a GET, or None if it has none or If-Range names other content."""
    if request.method != "GET" or request.header("if-range") not in (None, entity_tag(digest)):
        return None
    return request.header("range")


def parse_range(value: str | None, size: int) -> tuple[int, int] | None:
    """Return the half-open interval that a Range header selects, or None if the header must be ignored.

    As the RFC allows, a header with several ranges, another unit or invalid syntax is ignored. Raise
    `OCIError` 416 for a range that is outside the content, or whose end precedes its beginning. The RFC
    allows servers to ignore the latter, but the OCI's conformance suite requires a 416.
    """
    match = _RANGE.fullmatch(value) if value else None
    if match is None:
        return None
    first, last, suffix = match.groups()
    if suffix is not None:
        begin, end = max(0, size - int(suffix)), size
    else:
        begin, end = int(first), size if last is None else min(size, int(last) + 1)
    if begin >= end:
        raise OCIError(
            416,
            ErrorCode.RANGE_INVALID,
            f'invalid range "{value}": the content has {counted(size, "byte")}',
            headers={"content-range": f"bytes */{size}"},
        )
    return begin, end
