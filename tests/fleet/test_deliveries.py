"""What was deleted or replaced through one replica is no longer served by any."""

from __future__ import annotations

import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations

import httpx
import pytest

from tests.fleet.fleets import Fleet, eventually
from tests.fleet.test_upload_forwarding import announced
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


def test_calls_that_last_do_not_delay_it(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Slow uploads to other replicas may use all connections."""
    monkeypatch.setattr("brokenreg.fleet.acknowledgements.PATIENCE", 30)
    monkeypatch.setattr("brokenreg.fleet.calls._MOST_CONNECTIONS", 1)
    monkeypatch.setattr("brokenreg.fleet.silence.PAUSE", 3600.0)
    caplog.set_level("INFO", "brokenreg.fleet.deliveries")
    first, second = fleet.thread("a"), fleet.thread("b")
    push(first, image(b"old"))
    with socket.create_server(("127.0.0.1", 0)) as other, ThreadPoolExecutor(1) as threads:
        other.settimeout(30)
        announced(fleet, "0123abcd", f"127.0.0.1:{other.getsockname()[1]}")
        path = f"/v2/team/app/blobs/uploads/0123abcd-{'0' * 32}"
        waiting = threads.submit(httpx.get, f"{first.url}{path}", timeout=60)
        called, _ = other.accept()
        with called:
            fleet.sql("DELETE FROM replicas WHERE name = '0123abcd'")
            push(first, image(b"new"))
            assert httpx.get(f"{second.url}{TAG}").content == image(b"new")
        assert waiting.result().status_code in (404, 503)
    assert "may serve for a moment" not in caplog.text
