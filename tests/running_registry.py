"""A running registry: push images to it, add rules, read exchanges back."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

import httpx

from tests import raw_http
from tests.registry.pushing import OCI_MANIFEST, digest_of, image
from tests.server import Brokenreg

_names = itertools.count(1)
_UNVERIFIED = httpx.create_ssl_context(verify=False)


@dataclass(frozen=True)
class Pushed:
    """An image in a repository of its own."""

    repository: str
    manifest: bytes
    config: bytes
    layers: tuple[bytes, ...]

    def manifest_path(self, prefix: str = "", reference: str = "v1") -> str:
        return f"/v2/{prefix}{self.repository}/manifests/{reference}"

    def blob_path(self, content: bytes, prefix: str = "") -> str:
        return f"/v2/{prefix}{self.repository}/blobs/{digest_of(content)}"

    def layer_path(self, prefix: str = "", number: int = 1) -> str:
        return self.blob_path(self.layers[number - 1], prefix)


@dataclass(frozen=True)
class Registry:
    """A running registry, and the protocol to speak to it."""

    running: Brokenreg
    protocol: str

    @property
    def is_http2(self) -> bool:
        return self.protocol == "h2"

    @property
    def is_tls(self) -> bool:
        return self.running.url.startswith("https:")

    def ask(
        self, path: str, method: str = "GET", headers: raw_http.Headers = (), **more: Any
    ) -> raw_http.Answer:
        """One request on a connection of its own."""
        return raw_http.ask(self.running, path, method, headers, protocol=self.protocol, **more)

    def connect(self, *, source: str = "") -> raw_http.HTTP1 | raw_http.HTTP2:
        """A connection, perhaps from another address of this machine."""
        kind = raw_http.HTTP2 if self.is_http2 else raw_http.HTTP1
        return kind(self.running, source=source)

    def push(self, *sizes: int) -> Pushed:
        """An image whose layers have these sizes, in a repository of its own."""
        number = next(_names)
        chance = Random(number)
        layers = tuple(chance.randbytes(size) for size in sizes)
        config = chance.randbytes(500)
        pushed = Pushed(f"faults/image-{number}", image(config, *layers), config, layers)
        with self._http() as http:
            for blob in (config, *layers):
                url = f"/v2/{pushed.repository}/blobs/uploads/"
                assert http.post(url, params={"digest": digest_of(blob)}, content=blob).status_code == 201
            headers = {"content-type": OCI_MANIFEST}
            assert (
                http.put(pushed.manifest_path(), content=pushed.manifest, headers=headers).status_code == 201
            )
        return pushed

    @contextmanager
    def rule(self, **rule: Any) -> Iterator[int]:
        """A rule for the length of a block; its id."""
        with self.control() as control:
            made = control.post("/v1/rules", json=rule)
            assert made.status_code == 201, made.text
            try:
                yield made.json()["id"]
            finally:
                assert control.delete(f"/v1/rules/{made.json()['id']}").status_code == 204

    def rule_state(self, rule: int) -> dict[str, Any]:
        """The rule with its counts."""
        with self.control() as control:
            return dict(control.get(f"/v1/rules/{rule}").json())

    def exchange(self, path: str, method: str = "GET") -> dict[str, Any]:
        """The latest exchange of that path, with its timeline, once it has ended (it has 5 s)."""
        deadline = time.monotonic() + 5
        with self.control() as control:
            while True:
                found = [
                    each
                    for each in control.get("/v1/exchanges").json()
                    if (each["path"], each["method"]) == (path.partition("?")[0], method)
                ]
                if found and found[-1]["ended"]:
                    return dict(control.get(f"/v1/exchanges/{found[-1]['id']}").json())
                assert time.monotonic() < deadline, found
                time.sleep(0.01)

    def timeline(self, path: str, method: str = "GET") -> list[str]:
        """What happened in the latest exchange of that path."""
        return [point["text"] for point in self.exchange(path, method)["timeline"]]

    def control(self) -> httpx.Client:
        return httpx.Client(base_url=self.running.control, timeout=10, verify=_UNVERIFIED)

    def _http(self) -> httpx.Client:
        return httpx.Client(base_url=self.running.url, timeout=10, verify=_UNVERIFIED)
