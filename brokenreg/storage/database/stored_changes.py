"""Changes as JSON, as the table of changes stores them for other processes."""

from __future__ import annotations

import json
from typing import Any

from brokenreg.oci.digests import Digest
from brokenreg.oci.mediatypes import ManifestFacts
from brokenreg.storage.changes import (
    BlobLinked,
    BlobsUnlinked,
    Change,
    LeaseEnded,
    LinkTouched,
    ManifestDeleted,
    ManifestPut,
    ObjectsForgotten,
    ObjectStored,
    StateChanged,
    TagConfirmed,
    TagDeleted,
    TimesCorrected,
    UploadOpened,
    UploadsClosed,
)
from brokenreg.storage.records import Manifest, StoredObject


def encode(change: Change) -> str | None:
    """Return a change as JSON, or None if it concerns only the process that made it: its upload sessions."""
    match change:
        case ManifestPut(key, manifest, tags, stored):
            facts = manifest.facts.model_dump_json()
            kind = manifest.media_type
            return _json("manifest-put", key, manifest.digest, kind, manifest.size, facts, tags, stored)
        case ManifestDeleted(key, digest, tags, mentioned, deleted):
            return _json("manifest-deleted", key, digest, tags, mentioned, deleted)
        case TagDeleted(key, tag):
            return _json("tag-deleted", key, tag)
        case BlobLinked(key, digest, linked, size, _):
            return _json("blob-linked", key, digest, linked, size)
        case LinkTouched(key, digest, when):
            return _json("link-touched", key, digest, when)
        case BlobsUnlinked(links):
            return _json("blobs-unlinked", links)
        case TimesCorrected(key, now):
            return _json("times-corrected", key, now)
        case ObjectStored(digest, stored):
            return _json("object-stored", digest, stored.key, stored.size, stored.stored, stored.problem)
        case ObjectsForgotten(forgotten):
            return _json("objects-forgotten", forgotten)
        case StateChanged(name, revision, body):
            return _json("state-changed", name, revision, body)
        case LeaseEnded(name):
            return _json("lease-ended", name)
        case TagConfirmed(key, tag, when):
            return _json("tag-confirmed", key, tag, when)
        case UploadOpened() | UploadsClosed():
            return None


def _json(*parts: Any) -> str:
    return json.dumps(parts, separators=(",", ":"))


def decode(body: str) -> Change | None:
    """Return a stored change, or None if its kind is unknown, because a newer brokenreg stored it."""
    match json.loads(body):
        case ["manifest-put", key, digest, media_type, size, facts, tags, stored]:
            manifest = Manifest(Digest(digest), media_type, size, ManifestFacts.stored(facts))
            return ManifestPut(_pair(key), manifest, tuple(tags), stored)
        case ["manifest-deleted", key, digest, tags, mentioned, deleted]:
            return ManifestDeleted(
                _pair(key), Digest(digest), tuple(tags), tuple(map(Digest, mentioned)), deleted
            )
        case ["tag-deleted", key, tag]:
            return TagDeleted(_pair(key), tag)
        case ["blob-linked", key, digest, linked, size]:
            return BlobLinked(_pair(key), Digest(digest), linked, size)
        case ["link-touched", key, digest, when]:
            return LinkTouched(_pair(key), Digest(digest), when)
        case ["blobs-unlinked", links]:
            return BlobsUnlinked(tuple((_pair(key), Digest(digest)) for key, digest in links))
        case ["times-corrected", key, now]:
            return TimesCorrected(_pair(key), now)
        case ["object-stored", digest, key, size, stored, problem]:
            return ObjectStored(Digest(digest), StoredObject(key, size, stored, problem))
        case ["objects-forgotten", forgotten]:
            return ObjectsForgotten(tuple((Digest(digest), key) for digest, key in forgotten))
        case ["state-changed", name, revision, body]:
            return StateChanged(name, revision, body)
        case ["lease-ended", name]:
            return LeaseEnded(name)
        case ["tag-confirmed", key, tag, when]:
            return TagConfirmed(_pair(key), tag, when)
        case _:
            return None


def _pair(key: list[str]) -> tuple[str, str]:
    namespace, repository = key
    return namespace, repository
