"""TLS: HTTP/1.1 and HTTP/2, with a given certificate and with a self-signed one."""

from __future__ import annotations

import datetime
import hashlib
import ssl
import subprocess
from pathlib import Path

import httpx
import pytest
import trustme
from cryptography import x509

from brokenreg.assembly.tls import self_signed
from tests.server import Brokenreg, brokenreg


@pytest.fixture
def issued(tmp_path: Path) -> tuple[trustme.CA, Path, Path]:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    chain, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.cert_chain_pems[0].write_to_path(chain)
    certificate.private_key_pem.write_to_path(key)
    return authority, chain, key


@pytest.mark.parametrize(("http2", "version"), [(False, "HTTP/1.1"), (True, "HTTP/2")])
def test_serves_both_protocols(
    tmp_path: Path, issued: tuple[trustme.CA, Path, Path], http2: bool, version: str
) -> None:
    authority, chain, key = issued
    context = ssl.create_default_context()
    authority.configure_trust(context)
    environment = {"CERT_FILE": str(chain), "KEY_FILE": str(key)}
    with brokenreg(tmp_path / "data", **environment) as running:
        assert running.url.startswith("https://")
        with httpx.Client(base_url=running.url, verify=context, http2=http2, timeout=30) as client:
            ping = client.get("/v2/")
            assert (ping.status_code, ping.http_version) == (200, version)
            push_and_pull(client, b"x" * 3_000_000)
            error = client.get("/v2/broken/error/manifests/503")
            assert (error.status_code, error.json()["errors"][0]["code"]) == (503, "UNAVAILABLE")


def push_and_pull(client: httpx.Client, content: bytes) -> None:
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    location = client.post("/v2/tls/blobs/uploads/").headers["location"]
    assert client.put(location, params={"digest": digest}, content=content).status_code == 201
    assert client.get(f"/v2/tls/blobs/{digest}").content == content
    part = client.get(f"/v2/tls/blobs/{digest}", headers={"range": "bytes=1000000-1999999"})
    assert (part.status_code, len(part.content)) == (206, 1_000_000)


def test_a_client_that_resets_an_http2_stream_frees_it(
    tmp_path: Path, issued: tuple[trustme.CA, Path, Path]
) -> None:
    authority, chain, key = issued
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with brokenreg(tmp_path / "data", "--cert", str(chain), "--key", str(key)) as running:
        with httpx.Client(base_url=running.url, verify=context, http2=True) as client:
            assert client.get("/v2/").status_code == 200
            with pytest.raises(httpx.ReadTimeout):
                client.get("/v2/broken/timeout/manifests/dur-1h", timeout=0.3)
        wait_until_idle(running)


def wait_until_idle(running: Brokenreg) -> None:
    for _ in range(500):
        status = httpx.get(f"{running.control}/v1/status").json()
        if status["in_flight"] == 0 and status["connections"] == 0:
            return
    raise AssertionError(f"something still hangs: {status}")


def test_self_signed_is_trusted_through_its_ca_alone(tmp_path: Path) -> None:
    arguments = ["--tls", "self-signed", "--allow-host", "registry.test"]
    with brokenreg(tmp_path / "data", *arguments) as running:
        authority = tmp_path / "data" / "tls" / "ca.pem"
        assert httpx.get(f"{running.url}/v2/", verify=ssl.create_default_context(cafile=authority)).is_success
        # curl's TLS library is another, and it checks name constraints.
        command = ["curl", "-sS", "--cacert", str(authority), f"{running.url}/v2/"]
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "{}"
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{running.url}/v2/")
        first = (tmp_path / "data" / "tls" / "server.pem").read_bytes()
        assert (tmp_path / "data" / "tls" / "server.key").stat().st_mode & 0o777 == 0o600
    with brokenreg(tmp_path / "data", *arguments):
        assert (tmp_path / "data" / "tls" / "server.pem").read_bytes() == first
    with brokenreg(tmp_path / "data", "--tls", "self-signed", "--allow-host", "new.test"):
        assert (tmp_path / "data" / "tls" / "server.pem").read_bytes() != first


def test_the_ca_is_constrained_and_its_key_is_nowhere(tmp_path: Path) -> None:
    with brokenreg(tmp_path / "data", "--tls", "self-signed"):
        folder = tmp_path / "data" / "tls"
        authority = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
    constraints = authority.extensions.get_extension_for_class(x509.NameConstraints)
    assert constraints.critical
    permitted = {str(subtree.value) for subtree in constraints.value.permitted_subtrees or ()}
    assert {"localhost", "127.0.0.1/32", "::1/128"} <= permitted
    keys = [path.name for path in folder.iterdir() if b"PRIVATE KEY" in path.read_bytes()]
    assert keys == ["server.key"]


def test_a_certificate_that_is_not_valid_yet_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was created while the clock was ahead, so no client would accept it now."""
    with monkeypatch.context() as ahead:
        ahead.setattr("brokenreg.assembly.certificate_authority._SINCE", datetime.timedelta(days=-100))
        identity = self_signed(tmp_path, ["localhost"])
        early = identity.certificate.chain.read_bytes()
    assert self_signed(tmp_path, ["localhost"]).certificate.chain.read_bytes() != early
    made = identity.certificate.chain.read_bytes()
    assert self_signed(tmp_path, ["localhost"]).certificate.chain.read_bytes() == made
