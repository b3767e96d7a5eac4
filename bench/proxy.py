"""Measures cold and warm pulls through the proxy, compared with docker-registry as a proxy and direct pulls.

There are two clients: one that reads and stores nothing, so that it costs little, and skopeo as a real
client.
"""

from __future__ import annotations

import os
import shutil
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench.peers import ours, peer
from bench.transfers import pull, pull_image, push_image

_NAMES = ("brokenreg", "docker-registry")
_OURS, _PEER = _NAMES


@dataclass
class Seconds:
    """The duration of each pull of one client in each round, in seconds."""

    direct: list[float] = field(default_factory=list)
    local: list[float] = field(default_factory=list)
    cold: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in _NAMES})
    warm: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in _NAMES})


_LINES: dict[str, Callable[[Seconds], tuple[list[float], list[float]]]] = {
    f"direct, from {_PEER}": lambda its: (its.direct, its.direct),
    f"cold, through {_OURS}, of direct": lambda its: (its.cold[_OURS], its.direct),
    f"cold, through {_PEER}, of direct": lambda its: (its.cold[_PEER], its.direct),
    f"pushed to {_OURS}": lambda its: (its.local, its.local),
    f"warm, through {_OURS}, of pushed": lambda its: (its.warm[_OURS], its.local),
    f"warm, through {_PEER}, of pushed": lambda its: (its.warm[_PEER], its.local),
}


def measure(folder: Path, content: Path, digest: str, rounds: int) -> dict[str, Seconds]:
    """Pull an image with each client: directly, through both proxies (new ones each time), and locally."""
    size = content.stat().st_size

    def read(host: str) -> float:
        return size / pull(host, digest, 1)

    def skopeo(host: str) -> float:
        took = pull_image(host, folder / "pulled")
        shutil.rmtree(folder / "pulled")
        os.sync()  # so that the next client is not slowed down by writes of this one
        return took

    seconds = {"read": Seconds(), "skopeo": Seconds()}
    with peer(folder / "upstream") as other, ours(folder / "local") as local:
        upstream = other.host
        for host in (upstream, local.host):
            push_image(host, content, digest)
        os.sync()
        for number in range(rounds):
            for client, its in zip((read, skopeo), seconds.values(), strict=True):
                _round(folder / f"{client.__name__}-{number}", upstream, local.host, client, its)
    return seconds


def _round(place: Path, upstream: str, local: str, client: Callable[[str], float], its: Seconds) -> None:
    its.direct.append(client(upstream))
    its.local.append(client(local))
    for name in _NAMES if len(its.direct) % 2 else reversed(_NAMES):
        for host in _proxy(name, place, upstream):
            its.cold[name].append(client(host))
            os.sync()  # the warm pull must not include writing the cache to disk
            its.warm[name].append(client(host))
        shutil.rmtree(place)


def report(seconds: dict[str, Seconds]) -> Iterator[tuple[str, ...]]:
    """Yield rows with the median of each client, and its ratio to the reference."""
    for label, figures in _LINES.items():
        row = []
        for its in seconds.values():
            measured, base = (statistics.median(values) for values in figures(its))
            row += [f"{measured:.2f} s", f"{measured / base:.2f}"]
        yield label, *row


def _proxy(name: str, place: Path, upstream: str) -> Iterator[str]:
    """Run a proxy during the block, and return its host."""
    if name == "brokenreg":
        with ours(place, "--upstream", f"quay.io=http://{upstream}") as own:
            yield own.host
    else:
        with peer(place, f"proxy: {{remoteurl: 'http://{upstream}'}}\n") as other:
            yield other.host
