"""`make clients`: runs all cases, four at a time, and writes docs/explanation/clients.md."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

from tests.clients.behaviour.case import CancelledError, Seen, run_case
from tests.clients.behaviour.drivers import DRIVERS
from tests.clients.behaviour.expected import check
from tests.clients.behaviour.faults import FAULTS
from tests.clients.behaviour.original import Original, fetch_original
from tests.clients.behaviour.page import PAGE, write_page
from tests.clients.behaviour.telling import cell, story
from tests.clients.private import PROGRAMS, short_folder
from tests.clients.programs import missing

_AT_A_TIME = 4

Name = tuple[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(prog="make clients", description=__doc__)
    parser.add_argument("--fault", choices=FAULTS, action="append", help="only this; writes no page")
    parser.add_argument("--client", choices=DRIVERS, action="append", help="only this; writes no page")
    options = parser.parse_args()
    if reason := ", ".join(filter(None, (missing(*PROGRAMS[name], root=True) for name in DRIVERS))):
        sys.exit(f"clients: {reason}")
    names = [(f, c) for f in options.fault or FAULTS for c in options.client or DRIVERS]
    names.sort(key=lambda name: not FAULTS[name[0]].is_slow)
    # A second Ctrl+C would leave daemons behind: whatever comes, what was started is ended.
    cancelled = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: cancelled.set())
    signal.signal(signal.SIGTERM, lambda *_: cancelled.set())
    began = time.monotonic()
    results, problems = _run(names, cancelled)
    if cancelled.is_set():
        sys.exit(130)
    for problem in problems:
        print(f"clients: {problem}", file=sys.stderr)
    if options.fault or options.client:
        for seen in results.values():
            print(f"{seen.client}: {seen.fault.title}: {cell(seen)}\n  {story(seen)}\n  {seen.said}")
    elif len(results) == len(names):
        write_page(results)
        print(f"wrote {PAGE.name}, after {time.monotonic() - began:.0f} s")
    sys.exit(1 if problems else 0)


def _run(names: Sequence[Name], cancelled: threading.Event) -> tuple[dict[Name, Seen], list[str]]:
    """What was seen by fault and client, and what should have been otherwise."""
    results: dict[Name, Seen] = {}
    problems: list[str] = []
    with short_folder() as folder:
        original = fetch_original(folder / "data")
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        waiting = {pool.submit(_case, name, original, cancelled): name for name in names}
        for number, done in enumerate(as_completed(waiting), start=1):
            name = waiting[done]
            try:
                results[name] = seen = done.result()
                print(f"[{number}/{len(names)}] {' '.join(name)}: {cell(seen)}", flush=True)
                check(name[0], seen)
            except CancelledError:
                continue
            except AssertionError as error:
                problems.append(f"{' '.join(name)}: {error}")
    return results, problems


def _case(name: Name, original: Original, cancelled: threading.Event) -> Seen:
    if cancelled.is_set():
        raise CancelledError
    fault, client = name
    return run_case(FAULTS[fault], DRIVERS[client], original, cancelled=cancelled)


if __name__ == "__main__":
    main()
