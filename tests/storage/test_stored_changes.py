"""Changes as other processes read them."""

from __future__ import annotations

from typing import get_args

import pytest

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
from brokenreg.storage.database.stored_changes import decode, encode
from brokenreg.storage.records import Manifest, StoredObject

KEY = ("", "app")
DIGEST = Digest.of(b"content")

CHANGES = (
    ManifestPut(KEY, Manifest(DIGEST, "a/b", 7, ManifestFacts()), ("v1",), 1.5),
    ManifestDeleted(KEY, DIGEST, ("v1",), (DIGEST,), 1.5),
    TagDeleted(KEY, "v1"),
    BlobLinked(KEY, DIGEST, 1.5, 7),
    LinkTouched(KEY, DIGEST, 1.5),
    BlobsUnlinked(((KEY, DIGEST),)),
    TimesCorrected(KEY, 1.5),
    ObjectStored(DIGEST, StoredObject("uploads/1", 7, 1.5, "lost")),
    ObjectsForgotten(((DIGEST, "uploads/1"),)),
    StateChanged("rules", 3, None),
    LeaseEnded("work"),
    TagConfirmed(("@quay.io", "app"), "v1", 1.5),
)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: type(change).__name__)
def test_another_process_reads_what_was_stored(change: Change) -> None:
    body = encode(change)
    assert body is not None
    assert decode(body) == change


def test_all_changes_are_here() -> None:
    """Except those that concern only the process that made them."""
    assert {*map(type, CHANGES), UploadOpened, UploadsClosed} == set(get_args(Change))
