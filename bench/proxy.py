"""A pull through the proxy, cold and warm, beside docker-registry in its own proxy mode and a direct pull.

By two clients: one that reads and keeps nothing, which costs the least, and skopeo, which is a pull as people
know it.
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
    """What each pull of each round took by one client."""

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
    """By each client pull one image directly, through both proxies (afresh each time), and locally."""
    size = content.stat().st_size

    def read(host: str) -> float:
        return size / pull(host, digest, 1)

    def skopeo(host: str) -> float:
        took = pull_image(host, folder / "pulled")
        shutil.rmtree(folder / "pulled")
        os.sync()  # what this client has left to write shall not slow down the next
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
            os.sync()  # what is warm is on disk; writing it is no part of reading it
            its.warm[name].append(client(host))
        shutil.rmtree(place)


def report(seconds: dict[str, Seconds]) -> Iterator[tuple[str, ...]]:
    """Medians by each client, and how many times as long as what they are measured by."""
    for label, figures in _LINES.items():
        row = []
        for its in seconds.values():
            measured, base = (statistics.median(values) for values in figures(its))
            row += [f"{measured:.2f} s", f"{measured / base:.2f}"]
        yield label, *row


def _proxy(name: str, place: Path, upstream: str) -> Iterator[str]:
    """The host of a proxy, for as long as it is asked for."""
    if name == "brokenreg":
        with ours(place, "--upstream", f"quay.io=http://{upstream}") as own:
            yield own.host
    else:
        with peer(place, f"proxy: {{remoteurl: 'http://{upstream}'}}\n") as other:
            yield other.host
