"""A port that is in use: which option is about it, who uses it, and what to do; within a bounded time."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from brokenreg import __version__
from tests.server import Brokenreg, brokenreg, clean_environment


def refused(tmp_path: Path, *arguments: str) -> str:
    """Return what `serve` prints, which ends because an address cannot be used."""
    done = subprocess.run(
        [sys.executable, "-m", "brokenreg", "serve", "--data", str(tmp_path / "other"), *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        env=clean_environment(),
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.count("\n") == 1
    return done.stderr.strip().removeprefix("brokenreg: ")


def place(url: str) -> str:
    return url.partition("://")[2]


pytestmark = pytest.mark.slow

REGISTRY = f"address already in use by the registry of another brokenreg (version {__version__}): stop it"
CONTROL = f"address already in use by the control API of another brokenreg (version {__version__}): stop it"


def test_a_brokenreg_that_runs_there_is_named(own_registry: Brokenreg, tmp_path: Path) -> None:
    registry, control = place(own_registry.url), place(own_registry.control)
    said = refused(tmp_path, "--listen", registry, "--control", "off")
    assert said == f"--listen {registry}: {REGISTRY}, or choose another port (0: any free port)"
    said = refused(tmp_path, "--listen", "127.0.0.1:0", "--control", control)
    assert said.startswith(f"--control {control}: {CONTROL}, or choose another port (0: any free port)")
    assert said.endswith("turn the control API off with --control off")
    said = refused(tmp_path, "--listen", "127.0.0.1:0", "--control", "off", "--second-origin", control)
    assert said.startswith(f"--second-origin {control}: {CONTROL}")


@pytest.mark.parametrize("arguments", [("--control-token", "s3cret"), ("--tls", "self-signed")])
def test_with_a_token_or_tls_too(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    with brokenreg(tmp_path / "data", *arguments) as running:
        registry, control = place(running.url), place(running.control)
        assert REGISTRY in refused(tmp_path, "--listen", registry, "--control", "off")
        assert CONTROL in refused(tmp_path, "--listen", "127.0.0.1:0", "--control", control)


def test_from_any_interface_it_is_found_on_loopback(own_registry: Brokenreg, tmp_path: Path) -> None:
    port = own_registry.url.rpartition(":")[2]
    assert REGISTRY in refused(tmp_path, "--listen", f"0.0.0.0:{port}", "--control", "off")


@contextmanager
def endless_server() -> Iterator[int]:
    """A server whose response to any request never ends."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.1)

        def serve() -> None:
            while not stop.is_set():
                try:
                    client, _ = listening.accept()
                except TimeoutError:
                    continue
                with client:
                    client.settimeout(0.1)
                    try:
                        client.sendall(b"HTTP/1.1 200 OK\r\nserver: nginx\r\n\r\n")
                        while not stop.is_set():
                            client.sendall(b"x" * 65536)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1]
        stop.set()
        thread.join()


def test_another_program_is_asked_for_some_seconds_at_most(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, endless_server() as endless:
        for port in (silent.getsockname()[1], endless):
            said = refused(tmp_path, "--listen", f"127.0.0.1:{port}", "--control", "off")
            assert said == (
                f"--listen 127.0.0.1:{port}: address already in use by another program: "
                "choose another port (0: any free port)"
            )


def test_an_address_of_another_machine(tmp_path: Path) -> None:
    said = refused(tmp_path, "--listen", "192.0.2.1:5000", "--control", "off")
    assert said.startswith(
        "--listen 192.0.2.1:5000: Cannot assign requested address: use an address of this "
    )
