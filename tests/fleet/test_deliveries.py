"""What was deleted or replaced through one replica is no longer served by any."""

from __future__ import annotations

import os
import signal
from itertools import permutations

import httpx
import pytest

from tests.fleet.fleets import Fleet, eventually
from tests.registry.pushing import OCI_MANIFEST, digest_of, image
from tests.server import Brokenreg

HEADERS = {"content-type": OCI_MANIFEST}
TAG = "/v2/team/app/manifests/v1"


@pytest.fixture
def three(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> list[Brokenreg]:
    """Three patient replicas, without an object store: their blobs are their own."""
    monkeypatch.setattr("brokenreg.fleet.acknowledgements.PATIENCE", 30)
    return [fleet.thread(name) for name in "abc"]


def push(at: Brokenreg, body: bytes) -> None:
    assert httpx.put(f"{at.url}{TAG}", content=body, headers=HEADERS).status_code == 201


def test_a_moved_tag_is_moved_everywhere(three: list[Brokenreg]) -> None:
    for number, (at, *others) in enumerate(list(permutations(three)) * 2):
        body = image(b"%d" % number)
        push(at, body)
        for other in others:
            assert httpx.get(f"{other.url}{TAG}").content == body


@pytest.mark.parametrize("reference", ["v1", "digest"])
def test_what_was_deleted_is_deleted_everywhere(three: list[Brokenreg], reference: str) -> None:
    for number, (at, *others) in enumerate(list(permutations(three)) * 2):
        body = image(b"%d" % number)
        push(at, body)
        path = TAG if reference == "v1" else f"/v2/team/app/manifests/{digest_of(body)}"
        for other in others:
            assert httpx.get(f"{other.url}{path}").status_code == 200
        assert httpx.delete(f"{at.url}{path}").status_code == 202
        for other in others:
            assert httpx.get(f"{other.url}{path}").status_code == 404


def test_a_replica_that_does_not_respond_follows_later(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brokenreg.fleet.acknowledgements.PATIENCE", 0.2)
    first, second = fleet.thread("a"), fleet.process("b")
    push(first, image(b"old"))
    assert httpx.get(f"{second.url}{TAG}").status_code == 200
    os.kill(second.process.pid, signal.SIGSTOP)
    try:
        push(first, image(b"new"))
    finally:
        os.kill(second.process.pid, signal.SIGCONT)
    eventually(lambda: httpx.get(f"{second.url}{TAG}").content == image(b"new"))
