"""Pulls and pushes to compare, made by hand."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

from brokenreg.oci.target import parse_target
from brokenreg.traffic.bodies import NOTHING, Body, Kept
from brokenreg.traffic.exchange import Ended, Exchange, Headers
from brokenreg.traffic.redaction import redact_headers
from brokenreg.traffic.timeline_events import ExchangeEnded, HeadersSent, RequestReceived

MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def digest(seed: str) -> str:
    return f"sha256:{hashlib.sha256(seed.encode()).hexdigest()}"


def manifest(config: str, *layers: str) -> bytes:
    """A manifest with a config and layers of these digests."""
    descriptors = [{"digest": each, "size": 100} for each in layers]
    return json.dumps({"mediaType": MANIFEST, "config": {"digest": config}, "layers": descriptors}).encode()


@dataclass
class Traffic:
    """Exchanges with consecutive ids, and their bodies."""

    bodies: dict[int, Kept] = field(default_factory=dict)
    ids: count[int] = field(default_factory=lambda: count(1))
    now: float = 1_000.0

    def kept(self, exchange: Exchange) -> Kept:
        return self.bodies.get(exchange.id, NOTHING)

    def exchange(
        self,
        path: str,
        method: str = "GET",
        *,
        status: int | None = 200,
        size: int = 100,
        ended: Ended | None = Ended.COMPLETE,
        seconds: float = 0.01,
        headers: Headers = (),
        answered: Headers = (),
        body: bytes | None = None,
        sent: bytes | None = None,
        faults: tuple[str, ...] = (),
        query: str = "",
        name: str = "",
    ) -> Exchange:
        """An exchange that began when the one before it had ended."""
        target = parse_target(path)
        raw = [(each.encode(), value.encode()) for each, value in (("host", "127.0.0.1:8080"), *headers)]
        made = Exchange(
            id=next(self.ids), method=method, path=path, query=query, http_version="1.1", scheme="http",
            client=f"127.0.0.1:{40_000 + len(self.bodies)}", target=target,
            request_headers=redact_headers(raw), started=self.now, status=status,
            response_headers=answered if status else (), faults=faults, ended=ended,
            response_bytes=len(body) if body is not None else size,
            request_bytes=len(sent) if sent is not None else 0,
        )  # fmt: skip
        made.timeline.add(RequestReceived(), 0.0)
        if status is not None:
            made.timeline.add(HeadersSent(), seconds / 2)
        if ended is not None:
            made.timeline.add(ExchangeEnded(), seconds)
        self.now += seconds
        self.bodies[made.id] = Kept(
            None if sent is None else Body(sent, len(sent)), None if body is None else Body(body, len(body))
        )
        return made

    def pull(self, name: str, layers: Sequence[str], tag: str = "1.2") -> list[Exchange]:
        """A pull in which nothing failed: manifest, config and layers of these seeds."""
        document = manifest(digest("config"), *map(digest, layers))
        return [
            self.exchange(f"/v2/{name}/manifests/{tag}", body=document),
            self.exchange(f"/v2/{name}/blobs/{digest('config')}"),
            *(self.exchange(f"/v2/{name}/blobs/{digest(layer)}") for layer in layers),
        ]
