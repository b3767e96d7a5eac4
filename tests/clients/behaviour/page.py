"""docs/explanation/clients.md."""

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
# What clients do

Made by `make clients` on {date}, from runs of real clients against a brokenreg of their own each. What is
reported of requests is from the exchange log. Other versions may differ; run it to see what yours do.

| client | version | pulls | pushes |
| --- | --- | --- | --- |
{versions}

A case has {bound:.0f} s. *Recovers*: the client ends well, and the image is whole. *Fails*: it ends with an
error. *Hangs*: it is still at it after {bound:.0f} s. Requests are those that the fault is about: for the
second layer, for the manifest, of uploads. Seconds are of the whole command, on a busy machine.

To repeat one, write its rules to a file, start `brokenreg serve --scenario FILE`, and type what the table
above says. REF is `127.0.0.1:8080/{image}`, two layers of 16 MiB; take away
what the client has of it first. For a push it is any repository, for an image of two layers. In messages,
REGISTRY is the registry, CLIENT the client's end of a connection, ELSEWHERE another address, DIR a folder.
"""

_NEWER = """\
Newer versions are reported to do more: containerd repeats 500, 503 and 504 once (containerd#10898);
containers/image, under skopeo and podman, resumes a layer with Range after its first cut, and treats a Range
that gets a 200 as an error.
"""


def write_page(results: Results) -> None:
    """Write it anew."""
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
    """As the page shows them."""
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
    return f" It says: `{said}`"
