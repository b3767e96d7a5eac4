"""Starts the two registries that are compared, each with its own folder and port."""

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
from typing import NamedTuple

_CONFIGURATION = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
{storage}
http: {{addr: "{host}", secret: bench{tls}}}
"""
_FILES = """\
storage:
  filesystem: {{rootdirectory: {data}}}
  delete: {{enabled: true}}
  maintenance: {{uploadpurging: {{enabled: false}}}}"""
_TLS = ", tls: {{certificate: {}, key: {}}}"

Certificate = tuple[Path, Path]
"""The files of a certificate and of its key."""


class Running(NamedTuple):
    """A running server: `host:port` and its process id."""

    host: str
    process: int


class Ours(NamedTuple):
    """A running brokenreg: `host:port` of the registry and of the control API, and its process id."""

    host: str
    control: str
    process: int


@contextlib.contextmanager
def ours(folder: Path, *options: str, certificate: Certificate | None = None) -> Iterator[Ours]:
    """Run a brokenreg on that folder; without options, it contacts no upstreams."""
    command = [sys.executable, "-m", "brokenreg", "serve", "--headless", *(options or ("--offline",))]
    ready_file = folder.with_name(f"{folder.name}-ready.json")
    ready_file.unlink(missing_ok=True)
    command += ["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"]
    command += ["--data", str(folder), "--ready-file", str(ready_file)]
    if certificate:
        command += ["--cert", str(certificate[0]), "--key", str(certificate[1])]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            _wait_until(ready_file.exists)
            ready = json.loads(ready_file.read_text())
            host, control = (ready[name].partition("://")[2] for name in ("registry", "control"))
            yield Ours(host, control, process.pid)
        finally:
            process.kill()


@contextlib.contextmanager
def peer(
    folder: Path, more: str = "", certificate: Certificate | None = None, storage: str = ""
) -> Iterator[Running]:
    """Run Debian's docker-registry, with TLS if there is a certificate; `more` extends its configuration.

    `storage` is the section of that name, by default for files in `folder`.
    """
    program = shutil.which("docker-registry")
    if program is None:
        sys.exit("bench: docker-registry is not installed; apt-get install docker-registry")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        host = "{}:{}".format(*probe.getsockname())
    folder.mkdir(exist_ok=True)
    configuration = folder / "config.yml"
    tls = _TLS.format(*certificate) if certificate else ""
    configuration.write_text(
        _CONFIGURATION.format(storage=storage or _FILES.format(data=folder / "data"), host=host, tls=tls)
        + more
    )
    with subprocess.Popen([program, "serve", str(configuration)], stderr=subprocess.DEVNULL) as process:
        try:
            _wait_until(lambda: _answers(host))
            yield Running(host, process.pid)
        finally:
            process.kill()


def make_certificate(folder: Path) -> Certificate:
    """Create a self-signed certificate for 127.0.0.1 with openssl."""
    program = shutil.which("openssl")
    if program is None:
        sys.exit("bench: openssl is not installed; apt-get install openssl")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = [program, "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return certificate, key


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
