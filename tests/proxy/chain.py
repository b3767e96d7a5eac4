"""Two registries: a brokenreg as the upstream, which applies faults, and one in front of it as the proxy."""

from __future__ import annotations

import hashlib
import http.client
import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.registry.pushing import OCI_MANIFEST, digest_of, image
from tests.server import Brokenreg, brokenreg

CONFIG = b"{}"
PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For requests without TLS: reading the system's CAs for each costs more than the request."""


Start = Callable[..., AbstractContextManager[Brokenreg]]
"""`brokenreg`, or `brokenreg_process`."""


@dataclass
class Chain:
    """The proxy and its upstream, with an image that was pushed to the upstream."""

    upstream: Brokenreg
    proxy: Brokenreg

    def push_image(self, name: str, *layers: bytes, tag: str = "v1", config: bytes = CONFIG) -> bytes:
        """Push an image to the upstream, and return its manifest."""
        with httpx.Client(base_url=self.upstream.url, timeout=60, verify=PLAIN) as http:
            for content in (config, *layers):
                url = f"/v2/{name}/blobs/uploads/"
                response = http.post(url, params={"digest": digest_of(content)}, content=content)
                assert response.status_code == 201
            manifest = image(config, *layers)
            headers = {"content-type": OCI_MANIFEST}
            put = http.put(f"/v2/{name}/manifests/{tag}", content=manifest, headers=headers)
            assert put.status_code == 201
        return manifest

    def rule(self, fault: dict[str, Any] | list[dict[str, Any]], endpoint: str, **more: Any) -> None:
        """Add a rule to the upstream. `more` may contain `times`, `skip` and conditions of the match."""
        match = {"endpoint": endpoint, **more.pop("match", {})}
        rule = {"fault": fault, "match": match, **more}
        response = httpx.post(f"{self.upstream.control}/v1/rules", json=rule, verify=PLAIN)
        assert response.status_code == 201, response.text

    def mend(self) -> None:
        """Remove all rules from the upstream, and clear both logs."""
        assert httpx.post(f"{self.upstream.control}/v1/reset", verify=PLAIN).status_code == 204

    def asked(self, filter_: str = "endpoint:blob") -> list[dict[str, Any]]:
        """Return the requests that the upstream received."""
        return exchanges(self.upstream, filter_)

    def get(self, path: str, **more: Any) -> httpx.Response:
        """Send a GET to the proxy."""
        return httpx.get(f"{self.proxy.url}{path}", timeout=60, verify=PLAIN, **more)


def exchanges(running: Brokenreg, filter_: str) -> list[dict[str, Any]]:
    """Return the exchanges that match, oldest first."""
    return list(ask_control(running, "exchanges", filter=filter_))


def last(running: Brokenreg, filter_: str = "") -> dict[str, Any]:
    """Return the newest exchange that matches, with its timeline."""
    return exchange(running, exchanges(running, filter_)[-1]["id"])


def exchange(running: Brokenreg, number: int) -> dict[str, Any]:
    """Return an exchange with its timeline."""
    return dict(ask_control(running, f"exchanges/{number}"))


def ask_control(running: Brokenreg, path: str, **query: str) -> Any:
    """Return the control API's response to a GET below `/v1/`."""
    response = httpx.get(f"{running.control}/v1/{path}", params=query, verify=PLAIN)
    assert response.status_code == 200, response.text
    return response.json()


@contextmanager
def chain(folder: Path, *arguments: str, start: Start = brokenreg, **environment: str) -> Iterator[Chain]:
    """Run both. `start` starts the proxy with these arguments. Its quay.io is the upstream."""
    with brokenreg(folder / "upstream", "--offline") as upstream:
        options = ("--upstream", f"quay.io={upstream.url}", *arguments)
        with start(folder / "proxy", *options, **environment) as proxy:
            yield Chain(upstream, proxy)


class Reader:
    """A GET on its own connection, whose body is read step by step."""

    def __init__(self, running: Brokenreg, path: str, headers: dict[str, str] | None = None) -> None:
        self._connection = http.client.HTTPConnection(running.host, timeout=60)
        self._connection.request("GET", path, headers=headers or {})
        self._response = self._connection.getresponse()
        self.status = self._response.status
        self.length = int(self._response.headers.get("content-length") or -1)

    def read(self, count: int) -> bytes:
        return self._response.read(count)

    def digest(self) -> str:
        """Return the digest of the body, or of its beginning if it is cut off."""
        hasher = hashlib.sha256()
        while chunk := self._response.read(1 << 20):
            hasher.update(chunk)
        return f"sha256:{hasher.hexdigest()}"

    def leave(self) -> None:
        self._response.close()
        self._connection.close()


def cut_after(running: Brokenreg, path: str) -> int:
    """Read a body that must be cut off, and return the bytes before that."""
    reader = Reader(running, path)
    assert reader.status == 200
    count = 0
    try:
        while chunk := reader.read(1 << 16):
            count += len(chunk)
    except http.client.IncompleteRead as error:
        count += len(error.partial)
    except ConnectionError:
        pass
    finally:
        reader.leave()
    assert count < reader.length
    return count
