"""The cache compared with a simple model, for random sequences of operations."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from brokenreg.oci.digests import Digest
from brokenreg.storage import Store
from brokenreg.storage.records import RepositoryKey
from tests.storage.contents import KEY, OTHER, content_of, push, until
from tests.storage.test_cached_blobs import DOCKER, LIMIT, QUAY

CONTENTS = [bytes([number]) * size for number, size in enumerate((1, 200, 300, 400, 700, 1100))]
BLOBS = {Digest.of(content): content for content in CONTENTS}
SIZES = {digest: len(content) for digest, content in BLOBS.items()}
QUOTA = 4000
"""Bytes: so much that no blob of these is ever refused."""

DIGESTS = st.sampled_from(list(BLOBS))
CACHES = st.sampled_from([QUAY, DOCKER])
REPOSITORIES = st.sampled_from([KEY, OTHER])


class CacheMachine(RuleBasedStateMachine):
    """The model: the links of blobs, the pinned ones, and the order of their use.

    A cached blob without links is garbage. The model contains it until it is removed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.root = Path(tempfile.mkdtemp())
        self.clock = 0
        self.cached: OrderedDict[Digest, set[RepositoryKey]] = OrderedDict()
        self.pushed: dict[Digest, set[RepositoryKey]] = {}
        self.pins: dict[Digest, AbstractContextManager[None]] = {}
        self.guarded: set[Digest] = set()
        """Those that were here while somebody read them: they must not go."""
        self._start()

    def _start(self) -> None:
        self.opened = Store.open(self.root / "data", LIMIT, QUOTA)
        self.store = self.runner.run(self.opened.__aenter__())

    def _stop(self) -> None:
        self.runner.run(self.opened.__aexit__(None, None, None))

    def _use(self, digest: Digest) -> None:
        """Files of one moment have no order."""
        self.cached.move_to_end(digest)
        self.clock += 10
        os.utime(self.store.folder.blob(digest), (self.clock, self.clock))

    def _is_free(self, digest: Digest) -> bool:
        return not self.pushed.get(digest) and digest not in self.pins

    def _let_go(self, excess: int) -> None:
        """Garbage first, then what is too large to stay."""
        for digest in sorted(
            self.cached, key=lambda each: 0 if not self.cached[each] else 1 + (SIZES[each] <= LIMIT)
        ):
            if excess > 0 and self._is_free(digest):
                excess -= SIZES[digest]
                del self.cached[digest]

    def _model_make_room(self) -> None:
        counted = [
            digest
            for digest in self.cached
            if not self.pushed.get(digest) and (SIZES[digest] <= LIMIT or digest not in self.pins)
        ]
        self._let_go(sum(SIZES[digest] for digest in counted) - LIMIT)

    def _stored(self) -> int:
        return sum(size for digest, size in SIZES.items() if self.store.folder.blob(digest).exists())

    def _pin(self, digest: Digest) -> None:
        if digest not in self.pins:
            self.pins[digest] = self.store.blobs.pin(digest)
            self.pins[digest].__enter__()

    @rule(digests=st.lists(DIGESTS, min_size=1, max_size=4, unique=True), key=CACHES)
    def fetch(self, digests: list[Digest], key: RepositoryKey) -> None:
        for digest in digests:
            self.cached.setdefault(digest, set()).add(key)
            self.runner.run(push(self.store, BLOBS[digest], key))
            self.store.cache.used(digest, SIZES[digest])
            self._use(digest)
            self._model_make_room()
            self.runner.run(self.store.cache.make_room())

    @precondition(lambda self: any(self.cached.values()))
    @rule(data=st.data())
    def use(self, data: st.DataObject) -> None:
        digest = data.draw(st.sampled_from([each for each, keys in self.cached.items() if keys]))
        self.store.cache.used(digest, SIZES[digest])
        self._use(digest)

    @rule(digest=DIGESTS, key=REPOSITORIES)
    def push(self, digest: Digest, key: RepositoryKey) -> None:
        self.pushed.setdefault(digest, set()).add(key)
        self.runner.run(push(self.store, BLOBS[digest], key))
        if digest in self.cached:
            self.store.cache.used(digest, SIZES[digest])
            self._use(digest)

    @precondition(lambda self: any(self.pushed.values()))
    @rule(data=st.data())
    def unlink_pushed(self, data: st.DataObject) -> None:
        self._unlink(self.pushed, data)

    @precondition(lambda self: any(self.cached.values()))
    @rule(data=st.data())
    def unlink_cached(self, data: st.DataObject) -> None:
        self._unlink(self.cached, data)

    def _unlink(self, model: Mapping[Digest, set[RepositoryKey]], data: st.DataObject) -> None:
        """From one repository, or from all."""
        digest = data.draw(st.sampled_from([each for each, keys in model.items() if keys]))
        for key in sorted(model[digest])[: data.draw(st.sampled_from([1, None]))]:
            model[digest].discard(key)
            self.runner.run(self.store.index.unlink_blobs(key, [digest]))

    @precondition(lambda self: self.cached)
    @rule(data=st.data())
    def read(self, data: st.DataObject) -> None:
        self._pin(data.draw(st.sampled_from(list(self.cached))))

    @rule(digest=DIGESTS)
    def pin_while_room_is_made(self, digest: Digest) -> None:
        """What goes is decided by then: what is still here to be read stays."""

        async def both() -> None:
            making_room = asyncio.create_task(self.store.cache.make_room())
            await asyncio.sleep(0)
            self._pin(digest)
            self._guard()
            await making_room

        self._model_make_room()
        self.runner.run(both())

    @precondition(lambda self: self.pins)
    @rule(data=st.data())
    def unpin(self, data: st.DataObject) -> None:
        digest = data.draw(st.sampled_from(list(self.pins)))
        self.pins.pop(digest).__exit__(None, None, None)
        self.guarded.discard(digest)

    @rule(excess=st.integers(0, 1500))
    def write(self, excess: int) -> None:
        """So much more than there is room for: cached blobs make way, none in vain. Then it is removed."""
        size = QUOTA - self._stored() + excess
        if excess > sum(SIZES[digest] for digest in self.cached if self._is_free(digest)):
            with pytest.raises(OSError, match="quota"):
                self.runner.run(self.store.room.take(size))
        else:
            self._let_go(excess)
            self.runner.run(self.store.room.take(size))
            self.store.room.quota.give_back(size)

    @rule()
    def collect(self) -> None:
        """Files are older than a day here, links are not."""
        self._model_make_room()
        for digest in [each for each, keys in self.cached.items() if not keys and self._is_free(each)]:
            del self.cached[digest]
        for digest in BLOBS:  # a push makes them young
            if self.store.folder.blob(digest).exists() and digest not in self.cached:
                os.utime(self.store.folder.blob(digest), (0, 0))
        self.runner.run(self.store.collector.collect())

    @rule()
    def restart(self) -> None:
        """It is forgotten that garbage was cached, and whoever read it has gone."""
        self._stop()
        self.pins.clear()
        self.guarded.clear()
        self._start()
        self.cached = OrderedDict((digest, keys) for digest, keys in self.cached.items() if keys)
        self.collect()

    @invariant()
    def links_are_those_of_the_model(self) -> None:
        for digest, content in BLOBS.items():
            linked = {
                key for key, repository in self.store.index.repositories.items() if digest in repository.links
            }
            assert linked == self.cached.get(digest, set()) | self.pushed.get(digest, set())
            if linked:
                assert content_of(self.store, digest) == content

    @invariant()
    def what_is_being_read_stays(self) -> None:
        for digest in self.guarded:
            assert content_of(self.store, digest) == BLOBS[digest]
        self._guard()

    def _guard(self) -> None:
        self.guarded.update(digest for digest in self.pins if self.store.folder.blob(digest).exists())

    @invariant()
    def the_quota_counts_what_is_stored(self) -> None:
        self.runner.run(until(lambda: self.store.room.quota.used == self._stored()))

    def teardown(self) -> None:
        self._stop()
        self.runner.close()
        shutil.rmtree(self.root)


TestCacheMachine = pytest.mark.slow(CacheMachine.TestCase)
TestCacheMachine.settings = settings(max_examples=150, stateful_step_count=30)
