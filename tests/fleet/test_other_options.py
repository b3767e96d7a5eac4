"""A replica says when it starts that others have another key or network."""

from __future__ import annotations

import pytest

from tests.fleet.fleets import Fleet, eventually

OTHER_KEY = "another key, as long as the first"
ALIKE = "start all replicas with the same --fleet-key and --fleet-network"


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    lines = [record.getMessage() for record in caplog.records]
    return [line for line in lines if ALIKE in line]


def test_another_key(fleet: Fleet, caplog: pytest.LogCaptureFixture) -> None:
    first, _ = fleet.process("a"), fleet.process("b", key=OTHER_KEY)
    fleet.thread("c", key=OTHER_KEY)
    eventually(lambda: bool(warnings(caplog)))
    (line,) = warnings(caplog)
    assert line.startswith(f"{fleet.replica(first)} refused the call: it needs the same --fleet-key")


def test_another_network(fleet: Fleet, caplog: pytest.LogCaptureFixture) -> None:
    fleet.process("a")
    fleet.sql(
        "INSERT INTO replicas (name, address, host, beat) "
        "SELECT '0123abcd', '10.1.2.3:4567', 'other', max(beat) FROM replicas"
    )
    fleet.thread("b")
    eventually(lambda: bool(warnings(caplog)))
    (line,) = warnings(caplog)
    assert line.startswith("replica 0123abcd (10.1.2.3:4567) is not in --fleet-network 127.0.0.0/8")
