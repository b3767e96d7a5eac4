"""`--control-tls`: the control API over TLS, and the commands that trust its CA."""

from __future__ import annotations

import ssl
from pathlib import Path

import httpx
import pytest
import trustme

from brokenreg.client import AddressError, Client, UnreachableError
from tests.process import run_here
from tests.server import brokenreg


@pytest.mark.parametrize("value", [["--control-tls", "self-signed"], ["--control-tls"]])
def test_a_certificate_of_its_own(tmp_path: Path, value: list[str]) -> None:
    # The last option, because without a value nothing may follow that could be one.
    with brokenreg(tmp_path / "data", *value) as running:
        assert running.url.startswith("http://")
        assert running.control.startswith("https://")
        authority = Path(running.ready["ca"])
        with Client(running.control, authority=authority) as control:
            assert control.status()["control"] == running.control
        with Client(running.control) as control, pytest.raises(UnreachableError) as refused:
            control.status()
        assert refused.value.is_untrusted
        done = run_here("status", "--url", running.control, "--ca", str(authority))
        assert (done.returncode, done.stderr) == (0, "")
        assert f"control API: {running.control}" in done.stdout
        origin = {"origin": running.control}
        context = ssl.create_default_context(cafile=authority)
        assert httpx.get(f"{running.control}/v1/status", headers=origin, verify=context).status_code == 200
        plain = running.control.replace("https:", "http:")
        with Client(plain) as control, pytest.raises(UnreachableError) as unencrypted:
            control.wait(timeout=60)
        assert unencrypted.value.requires_tls
        for command in (("status", "--url", plain), ("log", "--follow", "--url", plain)):
            done = run_here(*command)
            assert done.returncode == 3
            assert f"the control API at {plain} uses TLS: use {running.control} as --url" in done.stderr
        foreign = {"origin": running.control.replace("https", "http")}
        assert httpx.get(f"{running.control}/v1/status", headers=foreign, verify=context).status_code == 403


def test_the_certificate_of_the_registry(tmp_path: Path) -> None:
    with brokenreg(tmp_path / "data", "--tls", "self-signed", "--control-tls", "registry") as running:
        context = ssl.create_default_context(cafile=running.ready["ca"])
        places = [httpx.URL(each) for each in (running.url, running.control)]
        served = {ssl.get_server_certificate((each.host, each.port or 443)) for each in places}
        assert len(served) == 1
        for url in (f"{running.url}/v2/", f"{running.control}/v1/status"):
            assert httpx.get(url, verify=context).status_code == 200


def test_a_given_certificate_for_both(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    chain, key, ca = (tmp_path / name for name in ("cert.pem", "key.pem", "ca.pem"))
    certificate.cert_chain_pems[0].write_to_path(chain)
    certificate.private_key_pem.write_to_path(key)
    authority.cert_pem.write_to_path(ca)
    options = "--cert", str(chain), "--key", str(key), "--control-tls", "registry"
    with brokenreg(tmp_path / "data", *options) as running, Client(running.control, authority=ca) as control:
        assert control.status()["registry"] == [running.url]
        assert running.ready["ca"] is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["--control-tls", "registry"],
            "--control-tls registry requires a certificate: add --cert and --key",
        ),
        (["--control-tls", "self-signed", "--control", "off"], "--control-tls requires a control API"),
    ],
)
def test_what_does_not_fit(options: list[str], said: str) -> None:
    done = run_here("serve", *options)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_ca_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(AddressError, match="cannot read"):
        Client("https://127.0.0.1:1", authority=tmp_path / "missing.pem")
    done = run_here("status", "--url", "https://127.0.0.1:1", "--ca", str(tmp_path / "missing.pem"))
    assert done.returncode == 2
    assert f"--ca: cannot read {tmp_path}/missing.pem: No such file or directory" in done.stderr


def test_the_token_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("s3cret\n")
    with brokenreg(tmp_path / "data", "--control-token", "s3cret") as running:
        for options in (["--token-file", str(file)], ["--token-file", str(file), "--token", "s3cret"]):
            assert run_here("status", "--url", running.control, *options).returncode == 0
        here = {"BROKENREG_CONTROL_TOKEN_FILE": str(file)}
        assert run_here("status", "--url", running.control, **here).returncode == 0
    for content, said in (("", "is empty"), (None, "No such file or directory")):
        file.unlink(missing_ok=True)
        if content is not None:
            file.write_text(content)
        done = run_here("status", "--token-file", str(file))
        assert done.returncode == 2
        assert said in done.stderr
