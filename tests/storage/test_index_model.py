"""The index compared with a simple model, for random sequences of operations: memory and disk agree."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar
from unittest.mock import patch

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from brokenreg.oci.digests import Digest
from brokenreg.storage.database import Engine, SQLite
from brokenreg.storage.database.postgresql import PostgreSQL
from brokenreg.storage.index import Index, UploadRow
from tests.postgresql import PostgreSQLServer
from tests.storage.contents import manifest_of, referring_to

KEYS = [("", "a"), ("", "b"), ("ns", "a")]
BLOBS = [Digest.of(b"one"), Digest.of(b"two")]
MANIFESTS = [manifest_of(*blobs, name=str(n)) for n, blobs in enumerate([(), BLOBS[:1], BLOBS, BLOBS[1:]])]
MANIFESTS += [referring_to(MANIFESTS[0][0].digest, name) for name in "ab"]

NOW = 5e9
"""What the index takes for the time; links are older and newer."""

keys = st.sampled_from(KEYS)
tags = st.sampled_from(["v1", "v2", "latest"])
manifests = st.sampled_from(MANIFESTS)
digests = st.sampled_from([manifest.digest for manifest, _ in MANIFESTS])
blobs = st.sampled_from(BLOBS)


class IndexMachine(RuleBasedStateMachine):
    """The model: dictionaries by repository. Several changes can run concurrently (`together`)."""

    def engine(self) -> Engine:
        return SQLite(Path(self.folder.name) / "index.sqlite3")

    @initialize()
    def begin(self) -> None:
        self.clock = patch("brokenreg.storage.index.time", SimpleNamespace(time=lambda: NOW))
        self.clock.start()
        self.folder = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.index = self.runner.run(Index.open(self.engine()))
        self.manifests = {key: {} for key in KEYS}
        self.tags = {key: {} for key in KEYS}
        self.links = {key: {} for key in KEYS}
        self.uploads = {}
        self.ids = itertools.count()

    @rule(key=keys, manifest=manifests, named=st.lists(tags, max_size=3))
    def put_manifest(self, key, manifest, named):
        self.runner.run(self.index.put_manifest(key, *manifest, named))
        self.manifests[key][manifest[0].digest] = manifest
        self.tags[key].update(dict.fromkeys(named, manifest[0].digest))

    @rule(key=keys, digest=digests)
    def delete_manifest(self, key, digest):
        found = self.runner.run(self.index.delete_manifest(key, digest))
        deleted = self.manifests[key].pop(digest, None)
        assert found == (deleted is not None)
        if deleted is not None:
            self.mentioned_until_now(key, deleted)
        self.tags[key] = {tag: each for tag, each in self.tags[key].items() if each != digest}

    def mentioned_until_now(self, key, manifest):
        """The age of blobs begins when their last manifest is deleted."""
        links = self.links[key]
        links.update({name: max(links[name], NOW) for name in manifest[0].facts.names if name in links})

    @rule(key=keys, tag=tags)
    def delete_tag(self, key, tag):
        found = self.runner.run(self.index.delete_tag(key, tag))
        assert found == (self.tags[key].pop(tag, None) is not None)

    @rule(key=keys, digest=blobs, when=st.floats(0, 1e10))
    def link(self, key, digest, when):
        self.runner.run(self.index.link_blob(key, digest, when))
        self.links[key][digest] = when

    @rule(key=keys, unlinked=st.lists(blobs, max_size=3))
    def unlink(self, key, unlinked):
        removed = self.runner.run(self.index.unlink_blobs(key, unlinked))
        assert removed == len(set(unlinked) & set(self.links[key]))
        for digest in unlinked:
            self.links[key].pop(digest, None)

    @rule(key=keys, algorithm=st.sampled_from(["sha256", "sha512"]))
    def open_upload(self, key, algorithm):
        row = UploadRow(f"{self.index.upload_prefix}{next(self.ids):032x}", key, algorithm)
        self.runner.run(self.index.open_upload(row))
        self.uploads[row.id] = row

    @rule(data=st.data(), digest=blobs)
    def finish_upload(self, data, digest):
        """End the session and link the blob in one step."""
        if self.uploads:
            row = data.draw(st.sampled_from(list(self.uploads.values())))
            self.runner.run(self.index.link_blob(row.key, digest, 5.0, upload_id=row.id))
            self.links[row.key][digest] = 5.0
            del self.uploads[row.id]

    @rule(data=st.data())
    def close_uploads(self, data):
        if self.uploads:
            ids = data.draw(st.lists(st.sampled_from(list(self.uploads)), max_size=2))
            self.runner.run(self.index.close_uploads(ids))
            for upload_id in ids:
                self.uploads.pop(upload_id, None)

    @rule(key=keys, manifest=manifests, tag=tags, digest=blobs)
    def together(self, key, manifest, tag, digest):
        """Changes in the same commit are applied in the order of the calls."""

        async def all_at_once():
            await asyncio.gather(
                self.index.put_manifest(key, *manifest, [tag]),
                self.index.link_blob(key, digest, 1.0),
                self.index.delete_manifest(key, manifest[0].digest),
                self.index.unlink_blobs(key, [digest]),
                self.index.put_manifest(key, *manifest, ["v1"]),
                self.index.link_blob(key, digest, 2.0),
                self.index.delete_tag(key, "v1"),
            )

        self.runner.run(all_at_once())
        gone = manifest[0].digest
        self.mentioned_until_now(key, manifest)
        self.tags[key] = {
            each: target
            for each, target in self.tags[key].items()
            if target != gone and each not in (tag, "v1")
        }
        self.manifests[key][gone] = manifest
        self.links[key][digest] = 2.0

    @rule()
    def reopen(self):
        self.runner.run(self.index.close())
        self.index = self.runner.run(Index.open(self.engine()))

    @invariant()
    def memory_is_the_model(self):
        if hasattr(self, "index"):
            self.is_the_model(self.index)
            assert self.index.uploads == self.uploads

    def is_the_model(self, index: Index) -> None:
        shown = index.repositories
        for key in KEYS:
            if not (self.manifests[key] or self.tags[key] or self.links[key]):
                assert key not in shown
                continue
            assert shown[key].manifests == {digest: each for digest, (each, _) in self.manifests[key].items()}
            assert shown[key].tags == self.tags[key]
            assert shown[key].links == self.links[key]
            assert shown[key].tags.names == sorted(self.tags[key])
            assert shown[key].referring == self.referring(key)
        assert index.catalog == sorted(name for namespace, name in shown if not namespace)
        linked = {digest for links in self.links.values() for digest in links}
        assert {digest for digest in BLOBS if index.is_linked(digest)} == linked
        assert index.blob_count == len(linked)

    def referring(self, key):
        found = {}
        for digest, (manifest, _) in sorted(self.manifests[key].items()):
            if manifest.facts.subject:
                found.setdefault(manifest.facts.subject, []).append(digest)
        return found

    @rule(manifest=manifests)
    def bodies_are_kept_as_long_as_anybody_has_the_manifest(self, manifest):
        digest = manifest[0].digest
        self.reopen()  # forgets what is cached
        body = self.runner.run(self.index.manifest_body(digest))
        wanted = any(digest in kept for kept in self.manifests.values())
        assert body == (manifest[1] if wanted else None)

    def teardown(self) -> None:
        if hasattr(self, "index"):
            self.runner.run(self.index.close())
            self.runner.close()
            self.clock.stop()
            self.folder.cleanup()


class SharedIndexMachine(IndexMachine):
    """The same in PostgreSQL, with a second index that follows the first."""

    server: ClassVar[PostgreSQLServer]
    databases = itertools.count()

    @initialize()
    def begin(self) -> None:
        self.url = self.server.create_database(f"model_{next(self.databases)}")
        super().begin()
        self.other = self.runner.run(Index.open(PostgreSQL(self.url, "bbbbbbbb")))

    def engine(self) -> Engine:
        return PostgreSQL(self.url, "aaaaaaaa")

    @invariant()
    def the_other_follows(self) -> None:
        if hasattr(self, "other"):
            self.runner.run(self.other.catch_up())
            self.is_the_model(self.other)
            assert self.other.uploads == {}
            assert self.other.repositories == self.index.repositories

    def teardown(self) -> None:
        if hasattr(self, "other"):
            self.runner.run(self.other.close())
        super().teardown()


@pytest.fixture
def server(postgresql: PostgreSQLServer) -> None:
    SharedIndexMachine.server = postgresql


TestIndex = IndexMachine.TestCase
TestIndex.settings = settings(max_examples=40, stateful_step_count=25)

TestSharedIndex = pytest.mark.usefixtures("server")(SharedIndexMachine.TestCase)
TestSharedIndex.settings = settings(max_examples=15, stateful_step_count=25)
