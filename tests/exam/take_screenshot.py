"""Makes the picture of the HTML report: `python -m tests.exam.take_screenshot` writes it to `screenshots/`.

It needs Chromium. Without it, the picture stays as it is.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from brokenreg import __version__
from brokenreg.client.documents import ExchangeDetail
from brokenreg.exam.html_report import html_report
from brokenreg.exam.report import RunReport, Verdict
from tests.exam.chromium import chromium
from tests.exam.reports import REQUEST, detail, point, report

PICTURE = Path(__file__).parents[2] / "screenshots" / "html-report.png"
_STARTED = 1_790_000_000.0
_WIDTH, _HEIGHT = 1000, 960
_NAMESPACE = "run-4f0c8d21ab37"
_IMAGE = f"/v2/broken/in/{_NAMESPACE}/broken/random"


def a_run() -> RunReport:
    """A pull whose client retries the manifest, and accepts a layer that was cut."""
    exchanges = [
        _exchange(1, 0.0, [0.002], path="/v2/", response_bytes=2),
        _exchange(2, 0.01, [0.003], status=503, faults=["error"], rule="fails twice"),
        _exchange(3, 1.02, [0.003], status=503, faults=["error"], rule="fails twice"),
        _exchange(4, 2.03, [0.404, 0.41], faults=["latency"], rule="slow", delay=(0.004, 0.4),
                  response_bytes=749),
        _exchange(5, 2.47, [0.02, 0.03], path=_blob("9ac0de33314e"), response_bytes=425),
        _exchange(6, 2.48, [0.03, 0.9], path=_blob("4f6d5b08e970"), response_bytes=67_100),
        _exchange(7, 2.48, [0.04, 0.31], path=_blob("6396f9cc2510"), faults=["truncate"], rule="cut",
                  response_bytes=32_768, ended="aborted", response_headers=[("content-length", "67100")]),
        _exchange(8, 2.49, [0.05, 0.85], path=_blob("6dc361fb9fa2"), response_bytes=67_100),
    ]  # fmt: skip
    verdicts = (
        Verdict("the client sends requests", "requests", "at least 1 request", "8 requests", met=True),
        Verdict("fails twice: applied", "rule", "at least 2", "2", met=True),
        Verdict("slow: applied", "rule", "at least 1", "1", met=True),
        Verdict("cut: applied", "rule", "at least 1", "1", met=True),
        Verdict("resumes it: endpoint:layer status:206", "filter", "at least 1", "0", False, False, (7,)),
        Verdict("the client's exit status", "client-exit", "exit status 0", "exit status 1", met=False),
    )  # fmt: skip
    made = report(
        "a pull with trouble", *verdicts, exchanges=exchanges, details=exchanges, status=1,
        repeat="brokenreg run --scenario trouble.yaml --seed 7 --timeout 120s -- ./pull.sh '{image}'",
    )  # fmt: skip
    return replace(made, version=__version__, started=_STARTED, duration=3.4)


def _exchange(
    number: int, at: float, times: list[float], delay: tuple[float, float] | None = None, **changed: Any
) -> ExchangeDetail:
    """An exchange that sends its headers at the first time, and ends at the last."""
    delays = [point("fault-delay", delay[0], seconds=delay[1])] if delay else []
    timeline = [REQUEST, *delays, point("headers", times[0]), point("end", times[-1])]
    length = [("content-length", str(changed.get("response_bytes", 67)))]
    plain = {
        "path": f"{_IMAGE}/manifests/layers-3_size-64kib",
        "namespace": _NAMESPACE,
        "response_headers": length,
    }
    return detail(number, timeline, **{**plain, "time": 1000 + at, "duration": times[-1], **changed})


def _blob(digest: str) -> str:
    return f"{_IMAGE}/blobs/sha256:{digest:0<64}"


def main() -> None:
    if not shutil.which("chromium"):
        print("html-report.png: not made, because chromium is not installed")
        return
    with tempfile.TemporaryDirectory() as name, chromium(Path(name)) as browser:
        file = Path(name) / "report.html"
        file.write_text(html_report([a_run()]))
        browser.show(file, _WIDTH)
        clip = {"x": 0, "y": 0, "width": _WIDTH, "height": _HEIGHT, "scale": 1}
        PICTURE.write_bytes(browser.picture(clip))


if __name__ == "__main__":
    main()
