"""Which token services get a password: a challenge alone is not sufficient (CVE-2026-33540)."""

from __future__ import annotations

import httpx
import pytest

from brokenreg.proxy.auth.realms import is_named, may_see_credentials


@pytest.mark.parametrize(
    ("upstream", "realm", "expected"),
    [
        ("https://quay.io", "https://quay.io/v2/auth", True),
        ("https://quay.io:443", "https://quay.io/v2/auth", True),
        ("http://registry.local:80", "http://registry.local/token", True),
        ("https://registry-1.docker.io", "https://auth.docker.io/token", True),
        ("https://registry.example.co.uk", "https://auth.example.co.uk/token", True),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000/token", True),
        ("https://registry.example.com.", "https://AUTH.example.com/token", True),
        ("https://registry.xn--bcher-kva.example", "https://auth.b\u00fccher.example/token", True),
        ("https://registry.corp.internal", "https://auth.corp.internal/token", True),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5001/token", False),
        ("http://localhost:5000", "http://localhost:5001/token", False),
        ("http://127.0.0.1:5000", "http://localhost:5000/token", False),
        ("http://127.0.0.1:5000", "http://[::ffff:127.0.0.1]:5001/token", False),
        ("http://127.0.0.1:5000", "https://127.0.0.1:5001/token", False),
        ("https://a.trycloudflare.com", "https://b.trycloudflare.com/token", False),
        ("https://a.westeurope.cloudapp.azure.com", "https://b.westeurope.cloudapp.azure.com/t", False),
        ("https://me.github.io", "https://you.github.io/token", False),
        ("https://a.ngrok-free.app", "https://b.ngrok-free.app/token", False),
        ("https://a.us-east-1.amazonaws.com", "https://b.us-east-1.amazonaws.com/token", False),
        ("https://1.dkr.ecr.us-east-1.amazonaws.com", "https://2.dkr.ecr.us-east-1.amazonaws.com/t", False),
        ("https://registry.a.svc.cluster.local", "https://registry.b.svc.cluster.local/token", False),
        ("https://a.127.0.0.1.nip.io", "https://b.127.0.0.2.nip.io/token", False),
        ("https://a.blob.core.windows.net", "https://b.blob.core.windows.net/token", False),
        ("https://me.jfrog.io", "https://you.jfrog.io/token", False),
        ("https://a.city.kawasaki.jp", "https://b.other.kawasaki.jp/token", False),
        ("https://10.0.1", "https://11.0.1/token", False),
        ("https://10.0.0x1", "https://11.0.0x1/token", False),
        ("https://registry", "https://registry.registry/token", False),
        ("http://127.0.0.1:5000", "http://127.example.org:5001/token", False),
        ("http://registry.local:5000", "http://registry.local:5000/token", True),
        ("https://quay.io", "https://evil.example/token", False),
        ("https://quay.io", "http://quay.io/token", False),
        ("https://quay.io", "https://quay.io.evil.example/token", False),
        ("https://quay.io", "https://evilquay.io/token", False),
        ("https://quay.io", "https://evil.example\\.quay.io/token", False),
        ("https://quay.io", "https://evil.example%2f.quay.io/token", False),
        ("https://a.co.uk", "https://b.co.uk/token", False),
        ("https://me.azurecr.io", "https://you.azurecr.io/token", False),
        ("https://quay.io", "https://127.0.0.1/token", False),
        ("http://registry.local:5000", "http://registry.local:5001/token", False),
        ("http://registry.local:443", "http://registry.local/token", False),
        ("https://10.0.0.1", "https://10.9.0.1/token", False),
    ],
)
async def test_which_realms_get_credentials(upstream: str, realm: str, expected: bool) -> None:
    assert await may_see_credentials(httpx.URL(upstream), httpx.URL(realm)) is expected


@pytest.mark.parametrize(
    ("realm", "expected"),
    [
        ("http://127.0.0.1:5001/token", True),
        ("http://127.0.0.1:5002/token", False),
        ("http://127.0.0.2:5001/token", False),
        ("https://127.0.0.1:5001/token", False),
        ("https://auth.example:443/v2/token?a=b", True),
    ],
)
def test_realms_that_the_settings_name(realm: str, expected: bool) -> None:
    named = httpx.URL("http://127.0.0.1:5001"), httpx.URL("https://auth.example")
    assert is_named(httpx.URL(realm), named) is expected
    assert not is_named(httpx.URL(realm), ())
