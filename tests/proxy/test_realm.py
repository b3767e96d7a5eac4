"""Which token services see a password: none that a challenge alone has named (CVE-2026-33540)."""

from __future__ import annotations

import httpx
import pytest

from brokenreg.proxy.realm import may_see_credentials


@pytest.mark.parametrize(
    ("upstream", "realm", "expected"),
    [
        ("https://quay.io", "https://quay.io/v2/auth", True),
        ("https://quay.io:443", "https://quay.io/v2/auth", True),
        ("http://registry.local:80", "http://registry.local/token", True),
        ("https://registry-1.docker.io", "https://auth.docker.io/token", True),
        ("https://registry.example.co.uk", "https://auth.example.co.uk/token", True),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5001/token", True),
        ("http://127.0.0.1:5000", "http://[::ffff:127.0.0.1]:5001/token", True),
        ("http://127.0.0.1:5000", "http://127.example.org:5001/token", False),
        ("http://registry.local:5000", "http://registry.local:5000/token", True),
        ("https://quay.io", "https://evil.example/token", False),
        ("https://quay.io", "http://quay.io/token", False),
        ("https://quay.io", "https://quay.io.evil.example/token", False),
        ("https://quay.io", "https://evilquay.io/token", False),
        ("https://a.co.uk", "https://b.co.uk/token", False),
        ("https://me.azurecr.io", "https://you.azurecr.io/token", False),
        ("https://quay.io", "https://127.0.0.1/token", False),
        ("http://registry.local:5000", "http://registry.local:5001/token", False),
        ("http://registry.local:443", "http://registry.local/token", False),
        ("https://10.0.0.1", "https://10.9.0.1/token", False),
    ],
)
def test_who_may_see_credentials(upstream: str, realm: str, expected: bool) -> None:
    assert may_see_credentials(httpx.URL(upstream), httpx.URL(realm)) is expected
