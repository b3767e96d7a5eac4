"""Range requests (RFC 9110, section 14) and the ranges of uploads (distribution-spec)."""

from __future__ import annotations

import re

from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.wording import counted

_RANGE = re.compile(r"bytes=\s*(?:([0-9]{1,19})\s*-\s*([0-9]{1,19})?|-\s*([0-9]{1,19}))\s*", re.IGNORECASE)
_CONTENT_RANGE = re.compile(r"(?:bytes[ =])?([0-9]{1,19})-([0-9]{1,19})(?:/(?:[0-9]+|\*))?")


def parse_range(value: str | None, size: int) -> tuple[int, int] | None:
    """The half-open interval that a Range header asks for; None if the whole is to be served.

    A header of several ranges, another unit or bad syntax is ignored, as the RFC allows. Raise `OCIError`
    416 for a range that lies outside the content, or ends before it begins (the RFC lets one ignore the
    latter; the OCI's conformance suite wants it refused).
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
            f"the content has {counted(size, 'byte')}; {value} lies outside",
            headers={"content-range": f"bytes */{size}"},
        )
    return begin, end


def parse_content_range(value: str) -> tuple[int, int]:
    """First byte and length of an upload's Content-Range, `<first>-<last>`.

    Raise `OCIError` 400 BLOB_UPLOAD_INVALID if it is not of that form.
    """
    match = _CONTENT_RANGE.fullmatch(value.strip())
    if match is None or int(match[2]) < int(match[1]):
        raise OCIError(
            400,
            ErrorCode.BLOB_UPLOAD_INVALID,
            f"invalid Content-Range {value[:100]!r}: <first>-<last>, both counted from 0, both included",
        )
    return int(match[1]), int(match[2]) - int(match[1]) + 1
