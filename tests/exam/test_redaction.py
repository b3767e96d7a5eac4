"""No secret of the command line gets into a report."""

from __future__ import annotations

from typing import Any

import pytest

from brokenreg.exam.results import RunResult
from brokenreg.exam.secrets_of_runs import without_secrets
from brokenreg.exam.tasks import redacted
from tests.exam.reports import detail, exchange, report


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        (("x", "--password", "hunter2"), ("x", "--password", "***")),
        (("x", "--password=hunter2"), ("x", "--password=***")),
        (("x", "--password", "{password}", "y"), ("x", "--password", "{password}", "y")),
        (("curl", "http://user:hunter2@host/"), ("curl", "http://***@host/")),
        (("skopeo", "copy", "docker://{image}", "dir:{workdir}/x"),
         ("skopeo", "copy", "docker://{image}", "dir:{workdir}/x")),
    ],
)  # fmt: skip
def test_redacted(command: tuple[str, ...], shown: tuple[str, ...]) -> None:
    assert redacted(command) == shown


def test_a_secret_of_the_run_is_replaced_wherever_a_client_put_it() -> None:
    path: dict[str, Any] = {"path": "/v2/hunter2/x", "user_agent": "hunter2"}
    one = detail(1, request_headers=[["x", "is hunter2"]], **path)
    found = report("a", exchanges=[exchange(1, **path)], details=[one], output="a hunter2 b")
    har = {"log": {"entries": [{"request": {"url": "http://h/hunter2", "headersSize": -1}}]}}
    shown = without_secrets(RunResult(found, output="is hunter2", dropped=0, har=har), ["hunter2", "x"])
    assert "hunter2" not in repr(shown)
    assert shown.report.exchanges[0]["path"] == "/v2/***/x"  # "x" is too short to be replaced
    assert dict(shown.report.details[0]["request_headers"]) == {"x": "is ***"}
    assert shown.har == {"log": {"entries": [{"request": {"url": "http://h/***", "headersSize": -1}}]}}
