"""The exam of a real client, in some quick cases."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.clients.programs import need
from tests.exam.running import assert_nothing_left, environment

QUICK = "*-[45]0[0-4]*"
"""Cases in which the registry responds with an error."""

GOOD = {
    "layer-403",
    "layer-404",
    "layer-always-503",
    "manifest-404",
    "manifest-always-503",
    "ping-401-without-challenge",
}


def test_skopeo(tmp_path: Path) -> None:
    need("skopeo")
    command = [
        sys.executable,
        "-m",
        "brokenreg",
        "exam",
        "--only",
        QUICK,
        "--jobs",
        "2",
        "--json",
        "exam.json",
    ]
    client = ["skopeo", "copy", "--src-tls-verify=false", "docker://{image}", "dir:{workdir}/copy"]
    done = subprocess.run(
        [*command, "--", *client],
        capture_output=True, text=True, env=environment(tmp_path), cwd=tmp_path, timeout=60,
    )  # fmt: skip
    assert_nothing_left(tmp_path)
    cases = json.loads((tmp_path / "exam.json").read_text())["cases"]
    assert len(cases) >= 10
    assert {each["outcome"] for each in cases} <= {"recovered", "failed cleanly", "gave up too soon"}, (
        done.stdout
    )
    assert {each["name"] for each in cases if each["good"]} >= GOOD
