"""Exchanges for the tests of the panel, at fixed times."""

from __future__ import annotations

import hashlib

from brokenreg.oci.target import parse_target
from brokenreg.traffic.exchange import Ended, Exchange
from brokenreg.traffic.log import TrafficLog
from brokenreg.traffic.timeline_events import ExchangeEnded, HeadersSent, RequestReceived

NOON = 1_767_268_800.0
"""2026-01-01 12:00:00 UTC, when everything here begins."""

NOW = NOON + 75
"""When the pictures are taken."""

DOCKER = (
    "docker/27.3.1 go/go1.22.7 git-commit/41ca978 kernel/6.8.0 os/linux arch/amd64 "
    "UpstreamClient(Docker-Client/27.3.1 \\(linux\\))"
)
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
LAYER = "application/octet-stream"


def digest(seed: str) -> str:
    """Return a digest that begins with `seed`."""
    return "sha256:" + seed + hashlib.sha256(seed.encode()).hexdigest()[len(seed) :]


def exchange(
    log: TrafficLog,
    path: str,
    *,
    method: str = "GET",
    at: float = 0.0,
    agent: str = DOCKER,
    headers: tuple[tuple[str, str], ...] = (),
    client: str = "127.0.0.1:40312",
    config: bool = False,
    query: str = "",
) -> Exchange:
    """Add an exchange in flight to the log, `at` seconds after noon."""
    opened = Exchange(
        id=log.next_id(),
        method=method,
        path=path,
        query=query,
        http_version="1.1",
        scheme="http",
        client=client,
        target=parse_target(path).refine(is_config=config) if config else parse_target(path),
        request_headers=(("host", "127.0.0.1:8080"), *((("user-agent", agent),) if agent else ()), *headers),
        started=NOON + at,
    )
    opened.timeline.add(RequestReceived(), 0.0)
    opened.revision += 1
    log.opened(opened)
    return opened


def answer(
    log: TrafficLog,
    exchange: Exchange,
    status: int = 200,
    *,
    size: int = 0,
    of: int | None = None,
    kind: str = MANIFEST,
    after: float = 0.002,
) -> None:
    """Add the head of the response, and `size` bytes of its body."""
    exchange.status = status
    exchange.response_headers = (("content-type", kind), ("content-length", str(size if of is None else of)))
    exchange.response_bytes = 0 if exchange.method == "HEAD" else size
    exchange.timeline.add(HeadersSent(), after)
    log.changed(exchange)


def end(
    log: TrafficLog,
    exchange: Exchange,
    *,
    after: float = 0.004,
    ended: Ended = Ended.COMPLETE,
    fault: str = "",
) -> None:
    """End an exchange."""
    exchange.ended = ended
    exchange.faults = (fault,) if fault else ()
    exchange.timeline.add(ExchangeEnded(), after)
    exchange.revision += 1
    log.closed(exchange)


def passed(log: TrafficLog, path: str, *, at: float = 0.0, status: int = 200, size: int = 512) -> Exchange:
    """Add a complete exchange."""
    done = exchange(log, path, at=at)
    answer(log, done, status, size=size)
    end(log, done)
    return done


def small_pull(log: TrafficLog) -> None:
    """Add a small pull with docker and a layer in flight, a 404, a fault, and a client that disconnected."""
    ping = exchange(log, "/v2/", at=1.0)
    answer(log, ping, 200, size=2, kind="application/json", after=0.0006)
    end(log, ping, after=0.0008)
    accept = (("accept", f"{MANIFEST}, application/vnd.docker.distribution.manifest.v2+json"),)
    head = exchange(log, "/v2/library/app/manifests/1.2", method="HEAD", at=1.02, headers=accept)
    answer(log, head, size=1153, after=0.0031)
    end(log, head, after=0.0034)
    got = exchange(log, f"/v2/library/app/manifests/{digest('4be1f7')}", at=1.04, headers=accept)
    answer(log, got, size=1153, after=0.0018)
    end(log, got, after=0.0022)
    config = exchange(log, f"/v2/library/app/blobs/{digest('9f2c1a')}", at=1.07, config=True)
    answer(log, config, size=2147, kind=LAYER, after=0.0042)
    end(log, config, after=0.0049)
    for seed, size, took in (("77ab03", 29_126_484, 0.412), ("c01d55", 4_812_003, 0.118)):
        layer = exchange(log, f"/v2/library/app/blobs/{digest(seed)}", at=1.09)
        answer(log, layer, size=size, kind=LAYER, after=0.0028)
        end(log, layer, after=took)
    missing = exchange(
        log, "/v2/tools/edge/manifests/nightly", at=9.5, agent="skopeo/1.16.1", client="10.0.2.7:51122"
    )
    answer(log, missing, 404, size=122, kind="application/json")
    end(log, missing, after=0.0013)
    late = exchange(
        log,
        "/v2/broken/timeout/manifests/dur-30s",
        at=20.2,
        agent="containerd/v2.0.1",
        client="10.0.2.9:39874",
    )
    end(log, late, after=30.0, ended=Ended.DISCONNECTED, fault="timeout")
    probe = exchange(log, "/v2/_catalog", at=61.3, agent="", client="10.0.2.4:60114", query="n=100")
    answer(log, probe, size=64, kind="application/json")
    end(log, probe, after=0.0009)
    left = exchange(log, f"/v2/library/app/blobs/{digest('e0aa91')}", at=63.4, agent="curl/8.5.0")
    answer(log, left, size=1_310_720, of=98_566_144, kind=LAYER)
    end(log, left, after=0.734, ended=Ended.DISCONNECTED)
    push = exchange(
        log,
        "/v2/team/web/manifests/2.0",
        method="PUT",
        at=66.8,
        agent="buildah/1.38.0",
        client="10.0.2.7:51130",
    )
    push.request_bytes = 1431
    answer(log, push, 201, kind="text/plain")
    end(log, push, after=0.0112)
    big = exchange(log, f"/v2/library/app/blobs/{digest('5d20be')}", at=72.4)
    answer(log, big, size=44_879_872, of=102_760_448, kind=LAYER, after=0.0033)
