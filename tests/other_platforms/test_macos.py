"""brokenreg on a Python that lacks what only Linux has: everything still works."""

from __future__ import annotations

import asyncio
import resource
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from brokenreg.assembly.process_tuning import allow_many_connections
from brokenreg.bulk.lent_socket import lend
from brokenreg.listening.listen_socket import ListenSocket
from tests.process import brokenreg_process
from tests.raw_http import HTTP1
from tests.running_registry import Registry

LIKE_MACOS = str(Path(__file__).with_name("like_macos"))
MIB = 1024 * 1024


@pytest.fixture(params=["plain", "tls", "h2"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Registry]:
    """A registry that runs as on macOS, over each protocol."""
    tls = [] if request.param == "plain" else ["--tls", "self-signed"]
    with brokenreg_process(tmp_path, *tls, PYTHONPATH=LIKE_MACOS) as running:
        yield Registry(running, "h2" if request.param == "h2" else "http/1.1")


@pytest.mark.slow
def test_images_are_pushed_pulled_and_broken(registry: Registry, capfd: pytest.CaptureFixture[str]) -> None:
    pushed = registry.push(34 * MIB, 5000)
    for number, layer in enumerate(pushed.layers, start=1):
        assert registry.ask(pushed.layer_path(number=number)).body == layer
    fabricated = registry.ask("/v2/broken/random/manifests/layers-1_size-1mib")
    assert fabricated.status == 200
    cut = registry.ask(pushed.layer_path("broken/with/truncate_after-64kib_end-rst/"))
    assert cut.body == pushed.layers[0][: 64 * 1024]
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("registry", ["plain", "tls"], indirect=True)
def test_a_reset_does_not_overtake_what_was_sent(registry: Registry) -> None:
    pushed = registry.push(3 * MIB + 1000)
    fault = {"type": "truncate", "after": 3 * MIB, "end": "rst"}
    with (
        registry.rule(fault=fault) as rule,
        HTTP1(registry.running, receive_buffer=16_384) as slow,
    ):
        slow.send(slow.request(pushed.layer_path()))
        first = slow.receive(5)
        deadline = time.monotonic() + 10
        while not registry.rule_state(rule)["applied"] and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.5)  # until everything is sent, and would be lost
        answer = slow.read(prefix=first)
    assert (len(answer.body), answer.ended) == (3 * MIB, "rst")


def test_a_client_that_disconnects_before_it_is_accepted_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """macOS accepts it, without an address."""
    ours, theirs = socket.socketpair()
    with ListenSocket(socket.AF_INET, socket.SOCK_STREAM, 0, over_tls=False) as listening, theirs:
        monkeypatch.setattr(socket.socket, "accept", lambda _: (ours, None))
        with pytest.raises(BlockingIOError):
            listening.accept()
    assert ours.fileno() == -1


def test_a_socket_whose_client_has_disconnected_can_be_lent(monkeypatch: pytest.MonkeyPatch) -> None:
    """macOS refuses to set its buffer."""

    def refuse(*_: object) -> None:
        raise OSError(22, "Invalid argument")

    async def lend_one() -> None:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        monkeypatch.setattr(socket.socket, "setsockopt", refuse)
        lend(writer.transport, to_receive=False).give_back()
        writer.close()
        server.close()

    asyncio.run(lend_one())


def test_the_limit_on_open_files_is_raised_as_far_as_the_system_accepts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """macOS has no hard limit, but refuses more than 10,240."""
    limits = [256, resource.RLIM_INFINITY]

    def set_limits(_: int, wanted: Any) -> None:
        if wanted[0] > 10_240:
            raise ValueError("current limit exceeds maximum limit")
        limits[0] = wanted[0]

    monkeypatch.setattr(resource, "getrlimit", lambda _: tuple(limits))
    monkeypatch.setattr(resource, "setrlimit", set_limits)
    allow_many_connections()
    assert limits[0] == 10_240
