"""Failed TLS handshakes are in the log with their reason, and nowhere else."""

from __future__ import annotations

import ssl
from pathlib import Path

from tests.connections import connects, dial, read_all, timelines, until_idle
from tests.tls_client import SELF_SIGNED_ROOT, SERVED, insecure, ping, tls_registry, trusting


def test_handshakes_that_fail_are_logged(tmp_path: Path) -> None:
    expected = [
        ("closed before the TLS handshake", "disconnected"),
        ("closed during the TLS handshake", "disconnected"),
        ("TLS handshake failed: http request", "aborted"),
        ("TLS handshake failed: the client sent alert unknown_ca", "disconnected"),
        ("TLS handshake completed (TLSv1.3)", "disconnected"),
    ]
    with tls_registry(tmp_path, "[]") as running:
        dial(running).close()
        until_idle(running)
        with dial(running) as connection:
            connection.sendall(b"\x16\x03\x01\x02\x00\x01\x00")
        until_idle(running)
        with dial(running) as connection:
            connection.sendall(b"GET /v2/ HTTP/1.1\r\n\r\n")
            assert not read_all(connection)
        assert ping(running, ssl.create_default_context()) == SELF_SIGNED_ROOT
        with dial(running) as connection:
            trusting(running).wrap_socket(connection, server_hostname="localhost").close()
        until_idle(running)
        assert timelines(running) == [[what, "ended"] for what, _ in expected]
        running.stop()
    assert [event["ended"] for event in connects(running)] == [ended for _, ended in expected]
    assert {(*event["faults"], event["status"]) for event in connects(running)} == {(None,)}


def test_a_handshake_that_we_refuse_ends_with_an_alert(tmp_path: Path) -> None:
    """Other TLS servers send one too, but asyncio would close without an alert."""
    with tls_registry(tmp_path, "[]") as running:
        context = insecure()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("AES128-SHA256")
        assert ping(running, context) == "SSLV3_ALERT_HANDSHAKE_FAILURE"
        until_idle(running)
        assert timelines(running) == [["TLS handshake failed: no shared cipher", "ended"]]


def test_failed_handshakes_do_not_flood_the_diagnostics(tmp_path: Path) -> None:
    with tls_registry(tmp_path, "[]") as running:
        for _ in range(20):
            assert ping(running, ssl.create_default_context()) != SERVED
            with dial(running) as connection:
                connection.sendall(b"\x16garbage" * 20)
        until_idle(running)
        running.stop()
    assert len(connects(running)) == 40
    assert running.warnings == ""
