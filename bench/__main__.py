"""`make bench`: compares brokenreg with docker-registry as medians of ratios, and measures faults."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table

from bench import (
    accuracy,
    attached,
    bulk,
    database,
    fleet,
    fleet_cost,
    floor,
    held,
    objects,
    panel,
    proxy,
    rules,
    shutdown,
    soak,
    soak_http2,
    start,
)
from bench.peers import ours
from bench.transfers import make_content


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    known = ", ".join(PARTS)
    arguments.add_argument(
        "parts", nargs="*", metavar="PART", help=f"{known}; all but soaks, objects and fleets by default"
    )
    arguments.add_argument("--rounds", type=int, default=5, help="pairs of measurements of each kind")
    arguments.add_argument(
        "--mib", type=int, default=1024, help="size of the blob in MiB, for bulk, proxy, objects and fleet"
    )
    arguments.add_argument(
        "--held", type=int, default=10_000, help="responses that are held at once, for held"
    )
    arguments.add_argument("--minutes", type=float, default=20, help="how long a soak takes")
    arguments.add_argument(
        "--seconds", type=float, default=2, help="of each measurement, for floor and database"
    )
    arguments.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        help="kinds with NAME in their name, for floor and bulk",
    )
    options = arguments.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        arguments.error(f"there is no part {', '.join(sorted(unknown))}; there are {known}")
    console = Console(width=200)
    for part in options.parts or [name for name in PARTS if name not in _ON_REQUEST]:
        with tempfile.TemporaryDirectory(prefix="brokenreg-bench-") as name:
            console.print(PARTS[part](console, Path(name), options))


def bench_floor(console: Console, folder: Path, options: argparse.Namespace) -> RenderableType:
    """Measure small requests, compared with a bare server and docker-registry."""
    with console.status("pushing") as status:
        results = floor.measure(folder, options.rounds, options.seconds, options.only, status.update)
    tables = []
    for protocol in floor.PROTOCOLS:
        least = "h2 alone" if protocol == "HTTP/2" else "floor"
        headings = f"{protocol}, CPU µs", least, "brokenreg", "times", "docker-registry"
        rates = "brokenreg/s", "docker-registry/s", "times"
        if rows := list(floor.report(results, protocol)):
            tables.append(_rows((*headings, *rates), rows))
    goals = _rows((f"goal, {options.rounds} rounds", "median (range)", ""), floor.goals(results))
    return Group(*tables, goals)


def bench_bulk(console: Console, folder: Path, options: argparse.Namespace) -> RenderableType:
    """Measure large transfers with curl, compared with docker-registry."""
    with console.status("making the blob") as status:
        content = folder / "content"
        digest = make_content(content, options.mib << 20)
        results = bulk.measure(folder, content, digest, options.rounds, options.only, status.update)
    headings = f"{options.mib} MiB by curl", "brokenreg", "docker-registry", "ratio (range)"
    costs = "CPU for 1 GiB", "docker-registry's"
    goals = _rows((f"goal, {options.rounds} rounds", "median", ""), bulk.goals(results))
    return Group(_rows((*headings, *costs), bulk.report(results)), goals)


def bench_objects(console: Console, folder: Path, options: argparse.Namespace) -> Table:
    """Measure blobs in an object store (seaweedfs), compared with a folder and with docker-registry."""
    with console.status("starting") as status:
        results = objects.measure(folder, options.mib << 20, options.rounds, status.update)
    heading = f"one blob of {options.mib} MiB, medians of {options.rounds} rounds"
    return _rows((heading, *objects.NAMES), objects.report(results))


def bench_accuracy(console: Console, folder: Path, options: argparse.Namespace) -> Table:
    """Measure how accurate timing faults are."""
    with ours(folder / "ours") as own, console.status("delays and rates"):
        measured = accuracy.measure(own.host, options.rounds)
    heading = f"{measured.passed:.0f} requests/s meanwhile"
    return _rows((heading, "median error", "largest"), accuracy.report(measured))


def bench_rules(console: Console, folder: Path, options: argparse.Namespace) -> Table:
    """Measure the cost of rules that do not match."""
    pairs = max(options.rounds, 7)
    with ours(folder / "ours") as own, console.status(f"{pairs} pairs"):
        added = rules.measure(own.host, own.control, own.process, pairs)
    return _rows((f"CPU of a request, {pairs} pairs", "median", "largest"), rules.report(added))


def bench_held(console: Console, folder: Path, options: argparse.Namespace) -> Table:
    """Measure many held responses."""
    with ours(folder / "ours") as own, console.status("holding"):
        holding = held.measure(own.host, own.control, own.process, options.held)
    return _rows(("held at once", ""), held.report(holding))


def bench_proxy(console: Console, folder: Path, options: argparse.Namespace) -> Table:
    """Measure pulls through the proxy."""
    with console.status("cold and warm pulls"):
        content = folder / "content"
        digest = make_content(content, options.mib << 20)
        seconds = proxy.measure(folder, content, digest, options.rounds)
    headings = f"{options.mib} MiB, {options.rounds} rounds", "only read", "times", "by skopeo", "times"
    return _rows(headings, proxy.report(seconds))


def bench_database(console: Console, folder: Path, options: argparse.Namespace) -> Table:
    """Measure pushes with SQLite and with PostgreSQL."""
    with console.status(f"{options.rounds} rounds"):
        figures = database.measure(folder, options.rounds, options.seconds)
    return _rows((f"{options.rounds} rounds", "median", ""), database.report(figures))


def bench_fleet(console: Console, folder: Path, options: argparse.Namespace) -> Table:
    """Measure a cold blob that clients of three replicas pull at the same time."""
    with console.status("starting") as status:
        measured = fleet.measure(folder, options.mib << 20, options.rounds, status.update)
    heading = f"{fleet.CLIENTS} clients pull {options.mib} MiB, {options.rounds} rounds"
    return _rows((heading, *fleet.COLUMNS), fleet.report(measured))


def bench_fleet_cost(console: Console, folder: Path, options: argparse.Namespace) -> Table:
    """Measure the CPU time of requests to one brokenreg and to three replicas (seaweedfs, PostgreSQL)."""
    with console.status("starting") as status:
        results = fleet_cost.measure(folder, options.rounds, status.update)
    names = fleet_cost.STORAGES
    headings = [f"CPU, {each}" for each in names] + [f"per second, {each}" for each in names]
    return _rows((f"medians of {options.rounds} rounds", *headings), fleet_cost.report(results))


def bench_panel(console: Console, folder: Path, options: argparse.Namespace) -> Table:
    """Measure the cost of the panel, and how fast it reacts to keys."""
    with console.status(f"{options.rounds} pairs"):
        content = folder / "content"
        digest = make_content(content, min(options.mib, 256) << 20)
        figures = panel.measure(folder, content, digest, options.rounds)
    return _rows((f"{options.rounds} pairs", "", "goal"), panel.report(figures))


def bench_attached(console: Console, folder: Path, options: argparse.Namespace) -> Table:
    """Measure the cost of attached panels, and how fast they react to keys."""
    with console.status(f"{options.rounds} pairs"):
        figures = attached.measure(folder, options.rounds)
    return _rows((f"{options.rounds} pairs", "", "goal"), attached.report(figures))


def bench_start(console: Console, folder: Path, options: argparse.Namespace) -> Table:
    """Measure the time until brokenreg is ready."""
    rounds = max(options.rounds, 15)
    with console.status("installing and starting"):
        starts = start.measure(folder, rounds)
    return _rows((f"installed, {rounds} starts", "median", "CPU", "goal"), start.report(starts))


def bench_shutdown(console: Console, folder: Path, options: argparse.Namespace) -> Table:
    """Measure the time until brokenreg has stopped."""
    with console.status("stopping"):
        return _rows(("in flight", "SIGTERM to end", "goal"), shutdown.report(shutdown.measure(folder)))


def bench_soak(console: Console, folder: Path, options: argparse.Namespace) -> Table:
    """Whether memory settles, and whether everything is given back, under a long mixed load."""
    seconds = options.minutes * 60
    with console.status(f"{options.minutes:g} minutes"):
        soaked = soak.measure(folder, seconds)
    headings = f"{options.minutes:g} minutes", *(each.name for each in soaked)
    return _rows(headings, soak.report(soaked, seconds))


def bench_soak_http2(console: Console, folder: Path, options: argparse.Namespace) -> RenderableType:
    """Whether everything is given back under a long load of clients that are killed and stall."""
    soaks = soak_http2.measure(folder, options.minutes, print)
    headings = f"{options.minutes:g} minutes", "registry", "after five", "at the end", ""
    works = _rows(("work", *(each.name for each in soaks)), soak_http2.works(soaks))
    return Group(_rows(headings, soak_http2.report(soaks)), works)


PARTS: dict[str, Callable[[Console, Path, argparse.Namespace], RenderableType]] = {
    "floor": bench_floor,
    "bulk": bench_bulk,
    "accuracy": bench_accuracy,
    "rules": bench_rules,
    "held": bench_held,
    "proxy": bench_proxy,
    "objects": bench_objects,
    "database": bench_database,
    "fleet": bench_fleet,
    "fleet-cost": bench_fleet_cost,
    "panel": bench_panel,
    "attached": bench_attached,
    "start": bench_start,
    "shutdown": bench_shutdown,
    "soak": bench_soak,
    "soak-http2": bench_soak_http2,
}


_ON_REQUEST = ("soak", "soak-http2", "objects", "fleet", "fleet-cost")
"""Parts that take long, or need a program that is rarely installed."""


def _rows(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> Table:
    table = Table(box=box.MARKDOWN)
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="right" if place else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


if __name__ == "__main__":
    main()
