"""The two registries that are compared, each on a folder and a port of its own."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

_CONFIGURATION = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: {data}}}
  delete: {{enabled: true}}
  maintenance: {{uploadpurging: {{enabled: false}}}}
http: {{addr: "{host}", secret: bench}}
"""


@contextlib.contextmanager
def ours(folder: Path) -> Iterator[tuple[str, int]]:
    """brokenreg: its `host:port` and its process id."""
    command = [sys.executable, "-m", "brokenreg", "serve", "--headless", "--offline", "--control", "off"]
    ready_file = folder.with_name("ready.json")
    command += ["--listen", "127.0.0.1:0", "--data", str(folder), "--ready-file", str(ready_file)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            _wait_until(ready_file.exists)
            ready = json.loads(ready_file.read_text())
            yield ready["registry"].partition("://")[2], process.pid
        finally:
            process.kill()


@contextlib.contextmanager
def peer(folder: Path) -> Iterator[tuple[str, int]]:
    """Debian's docker-registry: its `host:port` and its process id."""
    program = shutil.which("docker-registry")
    if program is None:
        sys.exit("bench: docker-registry is not installed; apt-get install docker-registry")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        host = "{}:{}".format(*probe.getsockname())
    folder.mkdir()
    configuration = folder / "config.yml"
    configuration.write_text(_CONFIGURATION.format(data=folder / "data", host=host))
    with subprocess.Popen([program, "serve", str(configuration)], stderr=subprocess.DEVNULL) as process:
        try:
            _wait_until(lambda: _answers(host))
            yield host, process.pid
        finally:
            process.kill()


def _wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not is_so():
        if time.monotonic() > deadline:
            sys.exit("bench: a registry did not start within 10 s")
        time.sleep(0.05)


def _answers(host: str) -> bool:
    name, port = host.rsplit(":", 1)
    try:
        socket.create_connection((name, int(port))).close()
    except OSError:
        return False
    return True
