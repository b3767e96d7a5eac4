"""`accept`: TCP connections that are accepted but not served, on plain listeners and before TLS."""

from __future__ import annotations

import os
import select
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.connections import connects, dial, in_turn, read_all, rules_file, timelines, until_idle
from tests.process import BrokenregProcess, brokenreg_process
from tests.server import Brokenreg, brokenreg

REQUEST = b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
TLS = [(), ("--tls", "self-signed")]


def outcome(running: Brokenreg) -> str:
    """Return what a plain HTTP client sees: `served`, `rst`, `fin`, or the received bytes."""
    try:
        with dial(running) as connection:
            connection.sendall(REQUEST)
            received = read_all(connection)
    except (ConnectionResetError, BrokenPipeError):
        return "rst"
    return "served" if received.startswith(b"HTTP/1.1 200") else received.decode("latin-1") or "fin"


@pytest.mark.parametrize("arguments", TLS)
def test_reset_and_close(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """RST is a reset; FIN is a close, even if the client has sent data and continues to."""
    rules = in_turn("accept, form: reset", "accept, form: close", "accept, form: close")
    scenario = rules_file(tmp_path, rules)
    with brokenreg(tmp_path / "data", "--scenario", str(scenario), *arguments) as running:
        with pytest.raises(ConnectionResetError), dial(running) as connection:
            connection.recv(1)
        for words in (b"", REQUEST):
            with dial(running) as connection:
                connection.sendall(words)
                assert connection.recv(1) == b""
                connection.sendall(b"still here")
                assert not was_reset(connection)
        until_idle(running)
        running.stop()
    arrived = sorted(connects(running), key=lambda event: event["id"])
    assert [(event["faults"], event["rule"], event["ended"]) for event in arrived] == [
        (["accept"], f"rule {number}", "aborted") for number in (1, 2, 3)
    ]


def was_reset(connection: socket.socket) -> bool:
    """Return whether an RST arrives, the response to data that is not read."""
    poll = select.poll()
    poll.register(connection, select.POLLERR)
    return bool(poll.poll(200))


def test_garbage(tmp_path: Path) -> None:
    rules = in_turn("accept, form: garbage", "accept, form: garbage", "accept, form: garbage")
    with brokenreg(tmp_path / "data", "--scenario", str(rules_file(tmp_path, rules))) as running:
        said = outcome(running)
        assert said not in ("served", "rst", "fin")
        assert not said.startswith("HTTP/")
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(f"{running.url}/v2/")
        with pytest.raises(ssl.SSLError, match="WRONG_VERSION_NUMBER"), dial(running) as connection:
            ssl.create_default_context().wrap_socket(connection, server_hostname="localhost")
        assert outcome(running) == "served"


@pytest.mark.slow
@pytest.mark.parametrize("arguments", TLS)
def test_a_stall_lasts_until_the_client_disconnects(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    rules = in_turn(*["accept, form: stall"] * 20)
    with brokenreg_process(
        tmp_path / "data", "--scenario", str(rules_file(tmp_path, rules)), *arguments
    ) as running:
        descriptors = open_files(running)
        stalled = [dial(running) for _ in range(20)]
        until_idle(running, connections=20)
        for each in stalled:
            each.sendall(REQUEST)
        stalled[0].settimeout(0.3)
        with pytest.raises(TimeoutError):
            stalled[0].recv(1)
        with httpx.Client(verify=False, base_url=running.url) as client:
            assert client.get("/v2/").status_code == 200  # others are served meanwhile
        status = httpx.get(f"{running.control}/v1/status").json()
        assert (status["in_flight"], status["connections"]) == (20, 20)
        for number, each in enumerate(stalled):
            if number % 2:
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # by RST
            each.close()
        until_idle(running)
        assert open_files(running) <= descriptors + 1  # the control API's own connection
        running.stop()
    assert [event["ended"] for event in connects(running)] == ["disconnected"] * 20


def open_files(running: BrokenregProcess) -> int:
    return len(os.listdir(f"/proc/{running.process.pid}/fd"))


def test_a_stall_for_a_while(tmp_path: Path) -> None:
    rules = in_turn("accept, form: stall, dur: 300ms")
    with brokenreg(tmp_path / "data", "--scenario", str(rules_file(tmp_path, rules))) as running:
        began = time.monotonic()
        assert outcome(running) == "fin"
        assert time.monotonic() - began >= 0.3
        assert outcome(running) == "served"


@pytest.mark.slow
def test_stopping_ends_stalls_immediately(tmp_path: Path) -> None:
    rules = in_turn("accept, form: stall", "tls, form: handshake-stalls")
    log = tmp_path / "exchanges"
    arguments = ["--tls", "self-signed", "--scenario", str(rules_file(tmp_path, rules)), "--log", str(log)]
    with brokenreg_process(tmp_path / "data", *arguments) as running:
        connections = [dial(running) for _ in range(3)]  # the last is in its handshake
        until_idle(running, connections=3)
        assert running.stop() == 0
        assert [connection.recv(1) for connection in connections] == [b""] * 3
        for connection in connections:
            connection.close()
    assert log.read_text().count('"ended":"aborted"') == 3


@pytest.mark.slow
def test_descriptors_do_not_leak(tmp_path: Path) -> None:
    rules = """
- {fault: {type: accept, form: reset}, probability: 0.3}
- {fault: {type: accept, form: close}, probability: 0.3}
- {fault: {type: accept, form: garbage}, probability: 0.3}
"""
    with brokenreg_process(tmp_path / "data", "--scenario", str(rules_file(tmp_path, rules))) as running:
        until_idle(running)
        descriptors = open_files(running)
        with ThreadPoolExecutor(20) as pool:
            seen = list(pool.map(lambda _: outcome(running), range(300)))
        until_idle(running)
        assert open_files(running) <= descriptors + 1
        running.stop()
    kinds = {each: seen.count(each) for each in set(seen)}
    assert len(kinds) == 4, kinds
    assert len(connects(running)) == 300 - kinds["served"]


def test_a_refused_flood_does_not_starve_other_clients(tmp_path: Path) -> None:
    """500 connections from 50 threads are reset, and a request on another connection is answered."""
    rules = "- {fault: {type: accept, form: reset}, skip: 1}"
    with (
        brokenreg(tmp_path / "data", "--scenario", str(rules_file(tmp_path, rules))) as running,
        httpx.Client(base_url=running.url) as client,
        ThreadPoolExecutor(50) as pool,
    ):
        assert client.get("/v2/").status_code == 200
        flood = pool.map(lambda _: outcome(running), range(500))
        for _ in range(20):
            assert client.get("/v2/").status_code == 200
        assert set(flood) == {"rst"}


def test_fail_twice_then_succeed_and_one_in_three(tmp_path: Path) -> None:
    rules = """
- {name: twice, fault: {type: accept, form: reset}, skip: 1, times: 2}
- {name: third, fault: {type: accept, form: close}, probability: 0.333}
"""
    seen = []
    for _ in range(2):
        with brokenreg(tmp_path / "data", "--scenario", str(rules_file(tmp_path, rules))) as running:
            seen.append([outcome(running) for _ in range(200)])
    assert seen[0] == seen[1]
    assert seen[0][1:3] == ["rst", "rst"]
    assert seen[0].count("rst") == 2
    assert 45 <= seen[0].count("fin") <= 90


def test_clients_are_known_by_address(tmp_path: Path) -> None:
    rules = """
- {name: others, match: {client: 10.0.0.0/8}, fault: {type: accept, form: close}}
- {name: third, match: {client: 127.0.0.3}, fault: {type: accept, form: close}}
- {name: each, match: {client: 127.0.0.4/30}, fault: {type: accept, form: reset}, times: 1, per: client}
- {name: fifth, match: {attempt: 5}, fault: {type: accept, form: close}}
- {name: never, enabled: false, fault: {type: accept}}
"""

    def from_address(address: str) -> str:
        host, port = running.host.rsplit(":", 1)
        try:
            with socket.create_connection((host, int(port)), 10, (address, 0)) as connection:
                connection.sendall(REQUEST)
                return "served" if read_all(connection) else "fin"
        except ConnectionResetError:
            return "rst"

    with brokenreg(tmp_path / "data", "--scenario", str(rules_file(tmp_path, rules))) as running:
        last = [1, 4, 4, 3, 2, 5, 5, 8]  # of the address
        seen = [from_address(f"127.0.0.{each}") for each in last]
        assert seen == ["served", "rst", "served", "fin", "fin", "rst", "served", "served"]
        until_idle(running)
        running.stop()
    arrived = sorted(connects(running), key=lambda event: event["id"])
    assert [(event["client"].rpartition(":")[0], event["rule"]) for event in arrived] == [
        ("127.0.0.4", "each"), ("127.0.0.3", "third"), ("127.0.0.2", "fifth"), ("127.0.0.5", "each"),
    ]  # fmt: skip


def test_it_applies_to_the_registry_and_not_to_the_control_api(tmp_path: Path) -> None:
    """A rule for connections is applied only at the registry's listeners."""
    with brokenreg(
        tmp_path / "data", "--scenario", str(rules_file(tmp_path, "- fault: {type: accept, form: close}"))
    ) as running:
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(f"{running.url}/v2/broken/in/a/app/manifests/v1")
        assert httpx.get(f"{running.control}/v1/status").status_code == 200


def test_rules_that_come_and_go(own_registry: Brokenreg) -> None:
    """A rule is applied from the next connection on. A stalled connection keeps its rule."""
    with httpx.Client(base_url=own_registry.control) as control:
        assert outcome(own_registry) == "served"
        rule = {"name": "stall", "fault": {"type": "accept", "form": "stall", "dur": "1h"}}
        url = control.post("/v1/rules", json=rule).headers["location"]
        stalled = dial(own_registry)
        until_idle(own_registry, connections=1)
        rule = {"fault": {"type": "accept", "form": "close"}, "times": 2}
        assert control.put(url, json=rule).status_code == 200
        assert [outcome(own_registry) for _ in range(3)] == ["fin", "fin", "served"]
        counted = control.get(url).json()
        assert (counted["matched"], counted["applied"]) == (3, 2)
        assert control.delete(url).status_code == 204
        assert outcome(own_registry) == "served"
        until_idle(own_registry, connections=1)
        assert timelines(own_registry)[0] == ["fault applied: accept", "stalled"]
        stalled.close()
        until_idle(own_registry)
    own_registry.stop()
    assert [(event["rule"], event["ended"]) for event in connects(own_registry)] == [
        ("rule 1", "aborted"), ("rule 1", "aborted"), ("stall", "disconnected"),
    ]  # fmt: skip


def test_a_namespace_has_no_connections(own_registry: Brokenreg) -> None:
    with httpx.Client(base_url=own_registry.control, params={"namespace": "a"}) as control:
        control.post("/v1/rules", json={"name": "stays", "fault": "no-digest"})
        refused = control.post("/v1/rules", json={"fault": {"type": "accept"}})
        assert (refused.status_code, refused.json()["field"]) == (400, "fault")
        assert "leave the namespace out" in refused.json()["detail"]
        scenario = {"rules": [{"fault": "no-digest"}, {"fault": "tls"}]}
        refused = control.put("/v1/scenario", json=scenario)
        assert (refused.status_code, refused.json()["field"]) == (400, "rules[1].fault")
        assert [rule["name"] for rule in control.get("/v1/rules").json()] == ["stays"]
