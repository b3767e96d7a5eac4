"""Writes docs/explanation/clients.md."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from tests.clients.behaviour.case import BOUND, Seen
from tests.clients.behaviour.drivers import DRIVERS
from tests.clients.behaviour.expected import MEASURED
from tests.clients.behaviour.faults import FAULTS, Fault
from tests.clients.behaviour.original import REPOSITORY, TAG
from tests.clients.behaviour.telling import SYMBOLS, cell, story

PAGE = Path(__file__).parents[3] / "docs" / "explanation" / "clients.md"

Results = Mapping[tuple[str, str], Seen]
"""By the names of fault and client."""

_HEAD = """\
# What real clients do

`make clients` generated this page on {date}. It runs each case with a real client and a new brokenreg.
What the page says about requests comes from the log of exchanges. Other versions may behave differently: run
`make clients` to see what yours do.

| client | version | pulls | pushes |
| --- | --- | --- | --- |
{versions}

A case takes at most {bound:.0f} s. *Recovers* means that the client succeeds and that the image is
complete. *Fails* means that the client ends with an error. *Hangs* means that the client has not ended
after {bound:.0f} s. Only requests that the fault concerns are counted: those for the second layer, for the
manifest, or of uploads. The time is that of the whole command, on a busy machine.

To repeat a case, write its rules to a file, start `brokenreg serve --scenario FILE`, and run the command in
the table above. REF is `127.0.0.1:8080/{image}`, an image of two layers of 16 MiB. If the client already
has layers of it, remove them first. For a push, REF is any repository, and the image has two layers. In
messages, REGISTRY means the registry, CLIENT the client's end of the connection, ELSEWHERE another address,
and DIR a folder.
"""

_NEWER = """\
Newer versions are reported to do more. containerd retries once after a 500, 503 or 504 (containerd#10898).
containers/image, which skopeo and podman use, resumes a layer with Range after its first cut, and treats a
200 in response to a Range request as an error.
"""


def write_page(results: Results) -> None:
    """Write the page again."""
    head = _HEAD.format(
        date=time.strftime("%d %B %Y").lstrip("0"),
        versions="\n".join(_version(name, results) for name in DRIVERS),
        bound=BOUND,
        image=f"{REPOSITORY}:{TAG}",
    )
    is_measured = all(seen.version.startswith(MEASURED[client]) for (_, client), seen in results.items())
    below = [_NEWER] if is_measured else []
    PAGE.write_text("\n".join([head, *_table(results), "", *below, *_sections(results)]))


def rules_of(fault: Fault) -> str:
    """Return the rules of a fault as the page shows them."""
    return f"```yaml\n{fault.scenario}```\n"


def _version(name: str, results: Results) -> str:
    driver = DRIVERS[name]
    version = next(seen.version for (_, client), seen in results.items() if client == name)
    return f"| {name} | {version} | `{driver.pulls}` | `{driver.pushes}` |"


def _table(results: Results) -> list[str]:
    rows = [f"| | {' | '.join(DRIVERS)} |", "| --- " * (len(DRIVERS) + 1) + "|"]
    for name, fault in FAULTS.items():
        cells = " | ".join(cell(results[name, client]) for client in DRIVERS)
        rows.append(f"| {fault.title} | {cells} |")
    return rows


def _sections(results: Results) -> list[str]:
    lines = []
    for name, fault in FAULTS.items():
        lines += [f"## {fault.title}\n", rules_of(fault)]
        for client in DRIVERS:
            seen = results[name, client]
            lines.append(f"- **{client}** {SYMBOLS[seen.verdict]}: {story(seen)}.{_said(seen)}")
        lines.append("")
    return lines


def _said(seen: Seen) -> str:
    if seen.verdict != "fails":
        return ""
    said = seen.said.replace("`", "'")
    return f" Message: `{said}`"
