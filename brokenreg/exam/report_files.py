"""The files that `brokenreg run` writes at its end."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from brokenreg.exam.results import RunResult


def write_report(name: str, path: Path, results: Sequence[RunResult]) -> None:
    """Write the report of that name (`junit`, `html`, `har`). Raise `OSError`."""
    path.write_bytes(_WRITERS[name](results))


def _junit(results: Sequence[RunResult]) -> bytes:
    from brokenreg.exam.junit import junit_xml

    return junit_xml([each.report for each in results])


def _html(results: Sequence[RunResult]) -> bytes:
    from brokenreg.exam.html_report import html_report

    return html_report([each.report for each in results]).encode()


def _har(results: Sequence[RunResult]) -> bytes:
    return json.dumps(_merged_har([each.har for each in results if each.har is not None])).encode()


def _merged_har(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the exchanges of several runs as one HAR document."""
    first = parts[0]["log"]
    return {"log": {**first, "entries": [entry for each in parts for entry in each["log"]["entries"]]}}


_WRITERS: dict[str, Callable[[Sequence[RunResult]], bytes]] = {
    "junit": _junit,
    "html": _html,
    "har": _har,
}
