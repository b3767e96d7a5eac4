"""The upstreams for the tests of the proxy work as they say."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import pytest

from tests.proxy.upstreams import IDENTITY, Upstream, htpasswd, plain, tls, token
from tests.registry.pushing import OCI_MANIFEST, image

ACCEPT = {"accept": OCI_MANIFEST}
"""Without it docker-registry has no such manifest."""


@pytest.mark.parametrize(("serving", "status"), [(plain, 200), (htpasswd, 401), (token, 401), (tls, 200)])
def test_what_anonymous_clients_get(
    tmp_path: Path, serving: Callable[[Path], AbstractContextManager[Upstream]], status: int
) -> None:
    with serving(tmp_path / "upstream") as upstream:
        upstream.push("org/image", "v1", image(b"{}", b"layer"), b"{}", b"layer")
        verify = True if upstream.ca is None else ssl.create_default_context(cafile=str(upstream.ca))
        url = f"{upstream.url}/v2/org/image/manifests/v1"
        response = httpx.get(url, headers=ACCEPT, verify=verify, trust_env=False)
        assert response.status_code == status
        assert upstream.count("GET", "/v2/org/image/manifests/") == 1
        assert upstream.count("GET", "/v2/org/image/blobs/") == 0
        assert upstream.count("PUT") == 3


def test_tokens(tmp_path: Path) -> None:
    with token(tmp_path / "upstream") as upstream:
        upstream.push("org/image", "v1", image(b"{}"), b"{}")
        assert upstream.tokens is not None
        asked = {"service": "test-registry", "scope": "repository:org/image:pull"}
        form = {**asked, "grant_type": "refresh_token", "refresh_token": IDENTITY}
        answers = [
            httpx.get(upstream.tokens.realm, params=asked, auth=upstream.login).json()["token"],
            httpx.post(upstream.tokens.realm, data=form).json()["access_token"],
        ]
        for each in answers:
            header = {**ACCEPT, "authorization": f"Bearer {each}"}
            assert httpx.get(f"{upstream.url}/v2/org/image/manifests/v1", headers=header).status_code == 200
            assert httpx.get(f"{upstream.url}/v2/org/other/manifests/v1", headers=header).status_code == 401
        assert httpx.get(upstream.tokens.realm, params=asked).status_code == 401
