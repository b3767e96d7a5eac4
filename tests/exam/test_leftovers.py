"""What a run leaves, however it ends: no port, no file and no process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.exam.running import GET, MANIFEST, assert_nothing_left, start

pytestmark = pytest.mark.slow

_WAITS = "import sys, time; print(*sys.argv[1:], flush=True); time.sleep(60)"
WAITS = (sys.executable, "-c", _WAITS, "{registry_url}", "{control_url}")
"""A client that prints the addresses, and then never ends."""

_ESCAPES = """
import os, sys, time
print(*sys.argv[1:], flush=True)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.close(1), os.close(2)
        open("escaped", "w").write(str(os.getpid()))
        time.sleep(60)
    os._exit(0)
while not os.path.exists("escaped"):
    time.sleep(0.01)
"""
ESCAPES = (sys.executable, "-c", _ESCAPES, "{registry_url}", "{control_url}")
"""A client that leaves a daemon behind, in a session of its own."""


def assert_closed(line: str) -> None:
    """The addresses that a client has printed accept no connection any more."""
    addresses = line.split()
    assert len(addresses) == 2
    for each in addresses:
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", int(each.rpartition(":")[2]))) != 0


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


@pytest.mark.parametrize(
    ("status", "arguments"),
    [
        (0, ["--", sys.executable, "-c", f"print('{{registry_url}}', '{{control_url}}')\n{GET[2]}"]),
        (1, ["--", sys.executable, "-c", "print('{registry_url}', '{control_url}')"]),
        (124, ["--timeout", "1s", "--", *WAITS]),
    ],
    ids=["success", "failure", "out of time"],
)
def test_after_the_end(tmp_path: Path, status: int, arguments: list[str]) -> None:
    process = start(tmp_path, *arguments, *([MANIFEST] if status == 0 else []))
    line = first_line(process)
    process.communicate(timeout=30)
    assert process.returncode == status
    assert_closed(line)
    assert_nothing_left(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_after_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    process = start(tmp_path, "--", *WAITS)
    line = first_line(process)
    process.send_signal(number)
    process.send_signal(number)  # a second one does not disturb the end
    process.communicate(timeout=20)
    assert process.returncode == 3
    assert_closed(line)
    assert_nothing_left(tmp_path)


@pytest.mark.parametrize("client", [WAITS, ESCAPES], ids=["waits", "escapes"])
def test_after_a_run_that_is_killed(tmp_path: Path, client: tuple[str, ...]) -> None:
    process = start(tmp_path, "--", *client)
    line = first_line(process)
    process.kill()
    process.communicate(timeout=20)
    assert process.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            assert_nothing_left(tmp_path)
            break
        except AssertionError:
            time.sleep(0.05)
    assert_nothing_left(tmp_path)
    assert_closed(line)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives orphans to another process than init")
def test_after_a_client_that_leaves_a_daemon(tmp_path: Path) -> None:
    process = start(tmp_path, "--", *ESCAPES)
    line = first_line(process)
    process.communicate(timeout=30)
    assert process.returncode == 1  # it sends no request
    assert_closed(line)
    assert_nothing_left(tmp_path)
    daemon = int((tmp_path / "escaped").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(daemon, 0)


def test_a_client_that_ignores_sigterm(tmp_path: Path) -> None:
    script = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {_WAITS}"
    process = start(tmp_path, "--", sys.executable, "-c", script, *WAITS[3:])
    line = first_line(process)
    process.terminate()
    process.communicate(timeout=20)
    assert process.returncode == 3
    assert_closed(line)
    assert_nothing_left(tmp_path)


def test_files_that_the_client_protects(tmp_path: Path) -> None:
    script = "cd {workdir}; mkdir -p a/b; touch a/b/c; chmod -R a-w a; echo {registry_url} {control_url}"
    process = start(tmp_path, "--", "sh", "-c", script)
    line = first_line(process)
    process.communicate(timeout=30)
    assert_closed(line)
    assert_nothing_left(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_a_request_waits(tmp_path: Path, number: signal.Signals) -> None:
    """It takes effect long before the time limit of the request, which is 10 seconds."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        process = start(tmp_path, "--url", f"127.0.0.1:{silent.getsockname()[1]}", "--", "true")
        connection, _ = silent.accept()
        with connection:
            connection.recv(1)  # the request is there, and nothing will respond
            started = time.monotonic()
            process.send_signal(number)
            _, errors = process.communicate(timeout=20)
    assert time.monotonic() - started < 9
    assert (process.returncode, errors) == (3, f"Error: stopped by {number.name}, without a verdict\n")
    assert_nothing_left(tmp_path)


_KILLS = """
import os, signal, sys
from pathlib import Path

def parent(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])

guard = os.getppid()
run = parent(guard)
if sys.argv[1] == "guard":
    os.kill(guard, signal.SIGKILL)
for each in Path("/proc").glob("[0-9]*") if sys.argv[1] == "registry" else ():
    try:
        if parent(each.name) == run and int(each.name) != guard:
            os.kill(int(each.name), signal.SIGKILL)
    except OSError:
        continue
"""


@pytest.mark.parametrize(
    ("victim", "says"),
    [
        ("guard", "the process that runs the client has ended"),
        ("registry", "the registry ended during the run of a registry that works"),
    ],
)
def test_a_part_that_is_killed(tmp_path: Path, victim: str, says: str) -> None:
    process = start(tmp_path, "--", sys.executable, "-c", _KILLS, victim)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (3, f"Error: {says}\n")
    assert_nothing_left(tmp_path)
