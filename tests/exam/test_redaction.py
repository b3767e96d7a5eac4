"""No secret of the command line gets into a report."""

from __future__ import annotations

import pytest

from brokenreg.exam.tasks import redacted


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
