"""The program of the overlay `node-mirror`, as the DaemonSet starts it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.deploy.kustomize import KUBERNETES, pods

OVERLAY = "overlays/node-mirror"
PROGRAM = KUBERNETES / OVERLAY / "node_mirror.py"


def start(folder: Path, node: str = "127.0.0.1", **changes: str) -> subprocess.Popen[str]:
    """Start the program with the environment of the manifest, for a folder of the test."""
    environment = pods(OVERLAY)["brokenreg-node-mirror"].environment(hostIP=node)
    return subprocess.Popen(
        [sys.executable, PROGRAM],
        env={**os.environ, **environment, "FOLDER": str(folder), **changes},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def installed(folder: Path, **changes: str) -> Iterator[subprocess.Popen[str]]:
    """Have the files written during the block. SIGTERM ends the program."""
    with start(folder, **changes) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("wrote ")
        try:
            yield process
        finally:
            process.terminate()
            process.communicate(timeout=10)
    assert process.returncode in (0, -signal.SIGKILL)
