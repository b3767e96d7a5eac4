"""The number of upload sessions is limited: beyond it, the least recently used one ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from brokenreg.oci.digests import Digest
from brokenreg.oci.errors import OCIError
from brokenreg.storage import Store
from brokenreg.storage.uploads import upload_store as module
from tests.storage.contents import KEY, chunks


async def test_the_least_recently_used_session_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_SESSIONS", 4)
    async with Store.open(tmp_path / "data") as store:
        used = await store.uploads.start(KEY, "sha256")
        claimed = await store.uploads.start(KEY, "sha256")
        with store.uploads.find(KEY, claimed):
            others = []
            for number in range(20):
                with store.uploads.find(KEY, used) as upload:
                    await upload.append(chunks(bytes([number])))
                others.append(await store.uploads.start(KEY, "sha256"))
                assert len(store.index.uploads) <= 4
                assert len(store.uploads._sessions) <= 4
                assert len(list(store.folder.stored_uploads())) <= 4
        with pytest.raises(OCIError, match="no such upload session"):
            store.uploads.find(KEY, others[0])
        assert list(store.index.uploads)[-1] == others[-1]
        with store.uploads.find(KEY, used) as upload:
            await store.uploads.finish(upload, Digest.of(bytes(range(20))))
        assert store.uploads.find(KEY, claimed).received == 0
