"""A replica without an object store has only its own blobs, and says so when it starts."""

from __future__ import annotations

import pytest

from tests.fleet.fleets import Fleet
from tests.storage.object_stores import s3_server, use


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    lines = [record.getMessage() for record in caplog.records]
    return [line for line in lines if "no other replica has the blobs that are pushed to this one" in line]


def test_a_replica_without_an_object_store_warns(fleet: Fleet, caplog: pytest.LogCaptureFixture) -> None:
    fleet.thread("a")
    (line,) = warnings(caplog)
    assert "add --blobs" in line


def test_a_replica_with_an_object_store_does_not_warn(
    fleet: Fleet, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with s3_server() as s3:
        fleet.thread("a", "--blobs", str(use(s3.port, monkeypatch, "fleet"))).stop()
    assert warnings(caplog) == []
