"""Reports of runs that never happened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from brokenreg.client.documents import Exchange, ExchangeDetail
from brokenreg.exam.report import RunReport, Verdict

REQUEST = {"kind": "request", "at": 0.0, "text": "request received", "data": {}}


def point(kind: str, at: float, text: str = "", **data: Any) -> dict[str, Any]:
    return {"kind": kind, "at": at, "text": text or kind, "data": data}


def exchange(number: int, **changed: Any) -> Exchange:
    plain = {
        "id": number, "origin": "registry", "time": 1000.0 + number / 10, "client": "127.0.0.1:4000",
        "user_agent": "test/1", "protocol": "HTTP/1.1", "method": "GET",
        "path": f"/v2/broken/in/run-1/team/app/manifests/v{number}", "query": "", "endpoint": "manifest",
        "namespace": "run-1", "repository": "team/app", "reference": f"v{number}", "status": 200,
        "request_bytes": 0, "response_bytes": 67, "duration": 0.05, "cache": None, "faults": [],
        "rule": None, "replay_of": None, "held": False, "held_by": None, "edited": None, "progress": None,
        "ended": "complete",
    }  # fmt: skip
    return cast(Exchange, {**plain, **changed})


def detail(number: int, timeline: Sequence[dict[str, Any]] = (), **changed: Any) -> ExchangeDetail:
    more = {
        "request_headers": [["host", "127.0.0.1"], ["user-agent", "test/1"]],
        "response_headers": [["content-length", "67"]],
        "rules": [],
        "timeline": [*timeline] or [REQUEST, point("headers", 0.01), point("end", 0.05, "ended")],
    }
    return cast(ExchangeDetail, {**exchange(number), **more, **changed})


def report(
    name: str = "a scenario",
    *verdicts: Verdict,
    exchanges: Sequence[Exchange] = (),
    details: Sequence[ExchangeDetail] = (),
    output: str = "",
    status: int | None = 0,
    repeat: str = "brokenreg run --seed 7 -- client",
) -> RunReport:
    return RunReport(
        version="1", scenario=name, seed=7, started=1000.0, duration=1.5, command=("client",), repeat=repeat,
        exit=status, verdicts=verdicts, exchanges=tuple(exchanges), output=output, details=tuple(details),
    )  # fmt: skip
