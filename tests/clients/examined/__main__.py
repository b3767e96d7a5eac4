"""`make clients`: examines the clients that are installed, and publishes the results."""

from __future__ import annotations

import argparse
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from brokenreg import __version__
from brokenreg.exam.cases import cases
from brokenreg.exam.earlier_results import earlier_results
from documentation.clients.page import clients_page
from documentation.clients.results import ClientResults, cases_of, read_results, write_results
from documentation.generated import ROOT
from tests.clients.examined.clients import CLIENTS, Environment, ExaminedClient, version_of
from tests.clients.private import short_folder
from tests.clients.programs import missing

PAGE = ROOT / "docs" / "explanation" / "clients.md"
_TIMEOUT = "35s"
"""Some clients try again after 5, 10 and 15 s, and some wait 10 s for each of two connections."""
_KEPT = ROOT / "build" / "clients"
"""Where the exam writes its own reports, which `--resume` reads."""

_ENDED = (0, 1)
"""Exit statuses of an exam that ran to its end."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="make clients", description=__doc__)
    parser.add_argument("--client", choices=CLIENTS, action="append", help="only this; can be repeated")
    parser.add_argument("--only", metavar="GLOB", action="append", help="only these cases; the others stay")
    parser.add_argument("--action", action="append", help="only this action, such as push; can be repeated")
    parser.add_argument("--resume", action="store_true", help="go on with an exam that was stopped")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--dry", action="store_true", help="publish nothing; the reports are in build/clients"
    )
    options = parser.parse_args()
    _KEPT.mkdir(parents=True, exist_ok=True)
    for name in options.client or CLIENTS:
        client = CLIENTS[name]
        reason = missing(*client.programs, module=client.module, root=client.needs_root)
        if not reason and options.only and not _globs(options.only, client.commands):
            reason = "it can do none of these cases"
        if reason:
            print(f"{name}: not examined, because {reason}")
        elif not _examine(client, options):
            sys.exit(3)
    if not options.dry:
        PAGE.write_text(clients_page(), encoding="utf-8")


def _examine(client: ExaminedClient, options: argparse.Namespace) -> bool:
    """Examine a client, and publish the results. Return False if the exam did not end."""
    report = _KEPT / f"{client.name}.json"
    commands = {
        action: command
        for action, command in client.commands.items()
        if not options.action or action in options.action
    }
    started = time.monotonic()
    with short_folder() as folder, client.ready(folder) as env:
        version = version_of(client, env)
        print(f"── {client.name} {version} ──", flush=True)
        if not _run(client, commands, report, env, options):
            return False
    print(f"{client.name}: {time.monotonic() - started:.0f} s", flush=True)
    if not options.dry:
        found = earlier_results("--json", report)
        results = ClientResults(
            client=client.name,
            version=version,
            note=client.note,
            date=datetime.now(UTC).date().isoformat(),
            brokenreg=__version__,
            seed=found.seed,
            timeout=_TIMEOUT,
            commands=commands,
            cleanup=client.cleanup,
            cases=cases_of(found),
        )
        known = read_results().get(client.name)
        is_part = options.only or options.action
        print(write_results(known.updated(results) if known is not None and is_part else results))
    return True


def _run(
    client: ExaminedClient,
    commands: dict[str, str],
    report: Path,
    env: Environment,
    options: argparse.Namespace,
) -> bool:
    """Run `brokenreg exam`. Return whether it ran to its end."""
    words = [sys.executable, "-m", "brokenreg", "exam", "--jobs", str(client.jobs)]
    words += ["--json", str(report), "--html", str(report.with_suffix(".html"))]
    words += ["--seed", str(options.seed), "--timeout", _TIMEOUT]
    words += [word for each in _globs(options.only or (), commands) for word in ("--only", each)]
    words += ["--resume"] if options.resume else []
    words += ["--cleanup", client.cleanup] if client.cleanup else []
    words += [word for action, command in commands.items() for word in (f"--{action}", command)]
    print(shlex.join(["brokenreg", *words[3:]]), flush=True)
    process = subprocess.Popen(words, env=env, cwd=ROOT)
    # Ctrl+C reaches the exam, too. It stops in order, and so does the daemon of the client after it.
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    return process.wait() in _ENDED


def _globs(only: Sequence[str], commands: Mapping[str, str]) -> list[str]:
    """Return those that match a case that this client can do: the exam refuses others."""
    return [glob for glob in only if any(each.action in commands for each in cases(glob))]


if __name__ == "__main__":
    main()
