"""What has happened before a picture is taken."""

from __future__ import annotations

import logging
import os

from exchanges import LAYER, NOON, NOW, answer, digest, end, exchange, small_pull
from pushed import some_images
from stored import HUB, TEAM, store_image, tar

from brokenreg.http.asgi import End
from brokenreg.listening.connection_events import ConnectionCut
from brokenreg.rules.rule import rule_of
from brokenreg.runtime.runtime import Runtime
from brokenreg.traffic.exchange import Ended
from brokenreg.traffic.timeline_events import FaultsApplied


async def nothing(runtime: Runtime) -> None:
    """Nobody came yet."""


async def some_traffic(runtime: Runtime) -> None:
    """A small pull with docker, and some others."""
    small_pull(runtime.log)


async def armed(runtime: Runtime) -> None:
    """The same, and the next manifest will fail."""
    small_pull(runtime.log)
    rule = rule_of({"fault": {"type": "error", "status": 503}, "times": 1})
    runtime.rules.book("").add(rule, "panel")


async def applied(runtime: Runtime) -> None:
    """A rule of a scenario file strikes one layer; two others do not."""
    small_pull(runtime.log)
    book = runtime.rules.book("")
    for line, document in (
        (3, {"fault": {"type": "error", "status": 503}, "match": {"endpoint": "manifest"}}),
        (6, {"name": "layers break twice", "fault": {"type": "truncate", "after": "64KiB"}, "times": 2}),
        (11, {"name": "half of them", "fault": "reset", "probability": 0.5}),
    ):
        book.add(rule_of(document), f"faults.yaml:{line}").since = NOON
    layer = exchange(runtime.log, f"/v2/library/app/blobs/{digest('c01d55')}", at=74.1)
    choice = book.evaluate(layer)
    layer.rule = choice.active.label if choice else None
    layer.add(FaultsApplied(("truncate",)), layer.started + 0.0002)
    answer(runtime.log, layer, size=65536, of=4_812_003, kind=LAYER)
    layer.add(ConnectionCut(End.FIN), layer.started + 0.003)
    end(runtime.log, layer, ended=Ended.ABORTED, fault="truncate")


async def pushed_and_cached(runtime: Runtime) -> None:
    """Images of several kinds in several repositories."""
    await some_images(runtime.store)


async def ruled(runtime: Runtime) -> None:
    """Three rules, one of them disabled, and an override in another namespace."""
    small_pull(runtime.log)
    book = runtime.rules.book("")
    for rule in (
        {"name": "layers break twice", "fault": {"type": "truncate", "after": "64KiB"}, "times": 2},
        {"match": {"client": "docker/*"}, "fault": {"type": "error", "status": 429}, "enabled": False},
        {"match": {"repository": "library/*"}, "fault": {"type": "latency", "dur": "2s"}, "probability": 0.5},
    ):
        book.add(rule_of(rule), "scenario.yaml:3")
    runtime.rules.book("ci").add(
        rule_of({"fault": {"type": "timeout", "dur": "9s"}, "override": True}), "panel"
    )


async def some_log_lines(runtime: Runtime) -> None:
    """The server says something of each level; some of it is long, some hostile."""
    small_pull(runtime.log)
    for at, level, text in (
        (0, logging.INFO, "brokenreg 0.1.0 serves http://127.0.0.1:8080, control API off, data in /data"),
        (31, logging.WARNING, "docker.io/library/nginx:1.24.0 is served from the cache: no answer in 60 s"),
        (47, logging.WARNING, "no room left in the data folder: manifests of quay.io are not cached"),
        (48, logging.WARNING, "a name with [bold]markup[/bold] and \x1b[31mcontrol characters"),
        (63, logging.ERROR, "a request failed\nTraceback (most recent call last):\n  ...\nOSError: EIO"),
    ):
        record = logging.LogRecord("brokenreg", level, "", 0, text, None, None)
        record.created = NOON + at
        runtime.diagnostics.handle(record)


async def some_blobs(runtime: Runtime) -> None:
    """An image that was pushed, one that is cached, one that was fabricated; a layer that is not nice."""
    odd = (
        ("etc/motd", b"hello"),
        ("etc/.wh.shadow", b""),
        ("opt/.wh..wh..opq", b""),
        ("../../x\x1b[31m", b"!"),
    )
    _, config, layer = await store_image(runtime, TEAM, "1.2", tar(*odd, ("srv/app", bytes(4_000_000))))
    _, *cached = await store_image(runtime, HUB, "1.27", tar(("usr/sbin/nginx", bytes(9_000_000))), b"{}")
    for blob in (config, layer, *cached):
        os.utime(runtime.store.folder.blob(blob), (NOW - 240, NOW - 240))
    await runtime.images.image("broken/random", "layers-2_size-4MiB")
