"""containerd with the files that the overlay `node-mirror` writes on a node."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.clients import layouts, wire
from tests.clients.layouts import KIB
from tests.clients.private import Client
from tests.clients.pullers import Ctr
from tests.clients.storages import brokenreg
from tests.deploy.node_mirror import installed

HELLO = layouts.image("node-mirror-hello", layers=2, size=KIB)


def test_containerd_pulls_through_brokenreg_and_from_nowhere_else(
    ctr: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = tmp_path / "certs.d"
    hosts.mkdir()
    with brokenreg(tmp_path / "data", "--tls", "self-signed") as registry:
        monkeypatch.setenv("SSL_CERT_FILE", str(registry.data / "tls/ca.pem"))  # for the push only
        wire.put(registry, "docker.io/library/hello", "v1", HELLO)
        port = registry.host.rpartition(":")[2]
        with installed(hosts, PORT=port):
            puller = Ctr(ctr, (f"--hosts-dir={hosts}",))
            puller.pull("docker.io/library/hello:v1", HELLO)
            puller.forget()
            rule = {"fault": {"type": "error", "status": 418}, "match": {"repository": "docker.io/*"}}
            httpx.post(f"{registry.control}/v1/rules", json=rule).raise_for_status()
            said = ctr.refused("images", "pull", f"--hosts-dir={hosts}", "docker.io/library/other:v1")
            assert registry.host in said
            assert "418" in said
        assert list(hosts.iterdir()) == []
