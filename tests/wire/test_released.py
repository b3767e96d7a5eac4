"""After clients were killed, stalled, were held or flooded, a registry has the same resources as before."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from bench.peers import ours
from bench.soak_clients import Client
from bench.soak_curl import Target, make_content
from bench.soak_http2 import THREAD_TOLERANCE, Soak

CLIENTS = 5
MEMORY = 12
"""MiB: a client that stalls has requested 200 to 400 MiB, one that is killed in the middle 8."""


def let_all_work(target: Target) -> None:
    """Let concurrent clients do each piece of work once."""

    def work(client: Client, number: int) -> None:
        for name in list(client.works)[number::CLIENTS]:
            try:
                client.works[name]()
            except Exception as error:  # noqa: BLE001 -- of a thread; the test reports it
                errors.append(f"{name}: {error!r}")

    errors: list[str] = []
    threads = [
        threading.Thread(target=work, args=(Client(target, number), number)) for number in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


@pytest.mark.slow
@pytest.mark.parametrize("name", ["HTTP/2, TLS", "plain"])
def test_all_resources_are_released_after_such_clients(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    is_tls = name != "plain"
    options = ("--tls", "self-signed") if is_tls else ()
    with ours(tmp_path / "data", "--offline", *options) as own:
        ca = tmp_path / "data" / "tls" / "ca.pem" if is_tls else None
        soak = Soak(name, Target(own, ca, *make_content(tmp_path)))
        Client(soak.target, 0).push()
        let_all_work(soak.target)
        before = soak.look(0)
        let_all_work(soak.target)
        after = soak.look(1)
        ended = {each["ended"] for each in soak.target.control("GET", "/v1/exchanges?limit=10000")}
    assert (after.in_flight, after.connections) == (0, 0)
    assert after.descriptors <= before.descriptors
    assert after.threads <= before.threads + THREAD_TOLERANCE
    assert after.memory <= before.memory + MEMORY
    assert None not in ended
    assert "disconnected" in ended
    assert "Traceback" not in capfd.readouterr().err
