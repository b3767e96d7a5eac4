"""`local_registry`, and what is left of it: no port, no folder and no process."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from brokenreg.client import Client, LocalRegistry, NotStartedError, local_registry
from tests.server import clean_environment

pytestmark = pytest.mark.slow

_OWNER = """
import sys, time
from brokenreg.client import local_registry

with local_registry(["--offline"]) as registry:
    print(registry.pid, registry.registry_url, registry.control_url, registry.data, flush=True)
    time.sleep(60)
"""


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def is_closed(url: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(url.rpartition(":")[2]))) != 0


def assert_gone(pid: int, registry: str, control: str, data: Path, *, within: float = 0) -> None:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline and not (is_gone(pid) and not data.exists()):
        time.sleep(0.01)
    assert is_gone(pid)
    assert not data.exists()
    assert is_closed(registry)
    assert is_closed(control)


def test_it_serves_during_its_block_and_leaves_nothing() -> None:
    with local_registry(["--offline"]) as registry, Client(registry.control_url) as control:
        image = httpx.get(f"{registry.registry_url}/v2/broken/random/manifests/layers-1_size-1")
        assert (image.status_code, len(control.exchanges())) == (200, 1)
        assert registry.host in registry.registry_url
        assert registry.data.is_dir()
    assert_gone(registry.pid, registry.registry_url, registry.control_url, registry.data)


def test_an_error_in_the_block_stops_it_too() -> None:
    left: LocalRegistry | None = None
    try:
        with local_registry(["--offline"]) as left:
            raise KeyError
    except KeyError:
        assert left is not None
    assert_gone(left.pid, left.registry_url, left.control_url, left.data)


def test_the_ca_to_trust() -> None:
    with local_registry(["--offline", "--tls", "self-signed"]) as registry:
        assert registry.authority is not None
        context = ssl.create_default_context(cafile=registry.authority)
        assert httpx.get(f"{registry.registry_url}/v2/", verify=context).status_code == 200


def test_variables_of_another_server_do_not_apply(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        *(("CONTROL_TOKEN", "other"), ("SCENARIO", "none.yaml"), ("LISTEN", "127.0.0.1:1"), ("OFFLINE", "1")),
        *((name, str(tmp_path / name)) for name in ("LOG", "DATA", "READY_FILE")),
    ):
        monkeypatch.setenv(f"BROKENREG_{name}", value)
    with local_registry() as registry, Client(registry.control_url) as control:
        assert control.status()["offline"]
    assert list(tmp_path.iterdir()) == []


def test_why_it_does_not_start() -> None:
    refused = pytest.raises(NotStartedError, match='did not start: --auth: invalid value "yes"')
    with refused, local_registry(["--auth", "yes"]):
        raise AssertionError
    with pytest.raises(NotStartedError, match=r"not ready after 0.01s"), local_registry(timeout=0.01):
        raise AssertionError


def test_it_ends_with_a_process_that_is_killed() -> None:
    command = [sys.executable, "-c", _OWNER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=clean_environment()) as owner:
        assert owner.stdout is not None
        pid, registry, control, data = owner.stdout.readline().split()
        assert not is_gone(int(pid))
        owner.kill()
    assert_gone(int(pid), registry, control, Path(data), within=10)


def test_a_server_that_does_not_stop_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brokenreg.client.local_server._STOP", 0.2)
    with local_registry(["--offline"]) as registry:
        os.kill(registry.pid, signal.SIGSTOP)
    assert_gone(registry.pid, registry.registry_url, registry.control_url, registry.data)


def test_it_stops_when_its_input_ends(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "brokenreg",
        "serve",
        "--ephemeral",
        "--offline",
        "--listen",
        "127.0.0.1:0",
    ]
    command += ["--control", "127.0.0.1:0"]
    environment = clean_environment(TMPDIR=str(tmp_path))
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as server:
        assert server.stderr is not None
        assert server.stdout is not None
        assert server.stdin is not None
        ready = json.loads(server.stdout.readline())
        assert Path(ready["data"]).parent == tmp_path
        httpx.get(f"{ready['registry']}/v2/")
        server.stdin.close()
        assert server.stdout.read() == ""  # no line for the exchange
        assert server.stderr.read() == ""  # this is how a program stops it
    assert server.returncode == 0
    assert_gone(server.pid, ready["registry"], ready["control"], Path(ready["data"]))


@pytest.mark.parametrize("has_pipe", [True, False])
def test_without_an_open_input_it_says_why_it_stops(tmp_path: Path, has_pipe: bool) -> None:
    command = [sys.executable, "-m", "brokenreg", "serve", "--ephemeral", "--offline"]
    command += ["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"]
    environment = clean_environment(TMPDIR=str(tmp_path))
    given = {"input": ""} if has_pipe else {"stdin": subprocess.DEVNULL}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=20, **given)
    assert done.returncode == 0
    assert done.stderr.startswith("brokenreg: standard input ended, stopping: with --ephemeral, ")


def test_a_folder_of_its_own_excludes_another(tmp_path: Path) -> None:
    refused = pytest.raises(
        NotStartedError, match="--data: omit it, because --ephemeral uses a temporary folder"
    )
    with refused, local_registry(["--data", str(tmp_path)]):
        raise AssertionError
