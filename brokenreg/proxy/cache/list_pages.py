"""Reads the pages of an upstream's tags and referrers (distribution-spec, "Listing Tags"; RFC 8288)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

from brokenreg.oci.digests import Digest
from brokenreg.oci.errors import OCIError
from brokenreg.oci.mediatypes import MAX_VALUES, has_too_many_values
from brokenreg.oci.names import is_tag
from brokenreg.proxy.errors import UpstreamContentError

_LINK = re.compile(r'<([^<>]*)>([^,<"]*(?:"[^"]*"[^,<"]*)*)')
_RELATION = re.compile(r';\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,"]+))', re.IGNORECASE)

_MAX_TARGET = 8 * 1024
"""Maximum length of a link's target, in characters: parsing a longer one would block the loop too long."""


def without_query(path: str) -> str:
    """Return the path of a list without page size and position."""
    return path.partition("?")[0]


def next_page(source: str, path: str, link: str | None) -> str | None:
    """Return the page after `path` from the Link header that `source` sent, or None.

    Only the query of the link is used, with the path of the request, because the link could lead to any host.
    Raise `UpstreamContentError` for a link that is too long.
    """
    for target, parameters in _LINK.findall(link or ""):
        relation = _RELATION.search(parameters)
        if relation is None or "next" not in (relation[1] or relation[2] or "").lower().split():
            continue
        if len(target) > _MAX_TARGET:
            raise UpstreamContentError(
                f"{source} sent a Link of more than {_MAX_TARGET} characters with a page of a list"
            )
        query = parse_qsl(target.partition("?")[2].partition("#")[0], keep_blank_values=True)
        if query:
            return f"{without_query(path)}?{urlencode(query, safe='/:')}"
    return None


@dataclass(frozen=True, slots=True)
class ListKind:
    """The functions that read and sort one kind of list."""

    entries: Callable[[Any], list[Any]]
    """Returns the valid entries of a document. Raises `ValueError`, `TypeError` or `LookupError`."""
    sort: Callable[[list[Any]], list[Any]]
    """Returns the entries of all pages in order, without duplicates. Blocks for long lists."""

    def read(self, source: str, body: bytes) -> list[Any]:
        """Return the valid entries of a page that `source` sent. Raise `UpstreamContentError`. Blocks."""
        if has_too_many_values(body):
            raise UpstreamContentError(f"{source} sent a page of a list with more than {MAX_VALUES} values")
        try:
            return self.entries(json.loads(body))
        except (ValueError, TypeError, LookupError, RecursionError):
            raise UpstreamContentError(f"{source} sent an invalid list") from None


def _tags(document: Any) -> list[Any]:
    return [tag for tag in _members(document, "tags") if isinstance(tag, str) and is_tag(tag)]


def _sort_tags(tags: list[Any]) -> list[Any]:
    return sorted(set(tags))


def _referrers(document: Any) -> list[Any]:
    """Return the valid descriptors. Raise `ValueError` if they cannot be sent as JSON again."""
    manifests = [each for each in _members(document, "manifests") if _is_descriptor(each)]
    json.dumps(manifests, ensure_ascii=False, allow_nan=False).encode()
    return manifests


def _sort_referrers(manifests: list[Any]) -> list[Any]:
    """Sort descriptors by digest, and keep the first of those with the same digest."""
    distinct = {each["digest"]: each for each in reversed(manifests)}
    return [distinct[digest] for digest in sorted(distinct)]


def _members(document: Any, name: str) -> list[Any]:
    """Return a list in a document. Some registries send null for an empty one."""
    members = document[name]
    if members is None:
        return []
    if not isinstance(members, list):
        raise TypeError
    return members


def _is_descriptor(value: Any) -> bool:
    try:
        return bool(isinstance(value, dict) and Digest.parse(value["digest"]))
    except (OCIError, LookupError, TypeError, AttributeError):
        return False


TAGS = ListKind(_tags, _sort_tags)
REFERRERS = ListKind(_referrers, _sort_referrers)
