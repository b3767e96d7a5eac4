"""A pull through the proxy, cold and warm, beside docker-registry in its own proxy mode and a direct pull."""

from __future__ import annotations

import os
import shutil
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench.peers import ours, peer
from bench.transfers import pull, push

_NAMES = ("brokenreg", "docker-registry")


@dataclass
class Seconds:
    """What each pull of each round took."""

    direct: list[float] = field(default_factory=list)
    local: list[float] = field(default_factory=list)
    cold: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in _NAMES})
    warm: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in _NAMES})


def measure(folder: Path, content: Path, digest: str, rounds: int) -> Seconds:
    """Pull one blob directly, through both proxies (afresh in each round), and from a local brokenreg."""
    seconds = Seconds()
    size = content.stat().st_size
    with peer(folder / "upstream") as upstream, ours(folder / "local") as local:
        for host in (upstream, local.host):
            push(host, content, digest)
        os.sync()
        for number in range(rounds):
            seconds.direct.append(size / pull(upstream, digest, 1))
            seconds.local.append(size / pull(local.host, digest, 1))
            for name in _NAMES if number % 2 == 0 else reversed(_NAMES):
                place = folder / f"{name}-{number}"
                for host in _proxy(name, place, upstream):
                    seconds.cold[name].append(size / pull(host, digest, 1))
                    os.sync()  # what is warm is on disk; writing it is no part of reading it
                    seconds.warm[name].append(size / pull(host, digest, 1))
                shutil.rmtree(place)
    return seconds


def report(seconds: Seconds) -> Iterator[tuple[str, ...]]:
    """Medians, and how many times as long as what they are measured by."""
    direct, local = statistics.median(seconds.direct), statistics.median(seconds.local)
    yield "direct, from docker-registry", f"{direct:.2f} s", "1.00"
    for name in _NAMES:
        cold = statistics.median(seconds.cold[name])
        yield f"cold, through {name}", f"{cold:.2f} s", f"{cold / direct:.2f} (of direct)"
    yield "a blob that was pushed to brokenreg", f"{local:.2f} s", "1.00"
    for name in _NAMES:
        warm = statistics.median(seconds.warm[name])
        yield f"warm, through {name}", f"{warm:.2f} s", f"{warm / local:.2f} (of pushed)"


def _proxy(name: str, place: Path, upstream: str) -> Iterator[str]:
    """The host of a proxy, for as long as it is asked for."""
    if name == "brokenreg":
        with ours(place, "--upstream", f"quay.io=http://{upstream}") as own:
            yield own.host
    else:
        with peer(place, f"proxy: {{remoteurl: 'http://{upstream}'}}\n") as host:
            yield host
