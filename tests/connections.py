"""Raw connections to a registry with rules for connections."""

from __future__ import annotations

import socket
import textwrap
import time
from pathlib import Path
from typing import Any

import httpx

from tests.server import Brokenreg


def rules_file(folder: Path, rules: str) -> Path:
    """A scenario file of these rules, a YAML list."""
    path = folder / "rules.yaml"
    path.write_text(f"rules:\n{textwrap.indent(rules.strip(), '  ')}\n")
    return path


def in_turn(*faults: str) -> str:
    """Rules that are applied to one connection each; faults are written `tls, form: expired`."""
    return "\n".join(f"- {{fault: {{type: {fault}}}, times: 1}}" for fault in faults)


def dial(running: Brokenreg) -> socket.socket:
    """A TCP connection; nothing on it takes longer than 10 s."""
    host, port = running.host.rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=10)


def read_all(connection: socket.socket) -> bytes:
    """What comes until a FIN. Raise `ConnectionResetError` at an RST."""
    received = b""
    while chunk := connection.recv(4096):
        received += chunk
    return received


def until_idle(running: Brokenreg, *, connections: int = 0) -> None:
    """Wait until so many connections are left; they have 30 s."""
    deadline = time.monotonic() + 30
    while (status := httpx.get(f"{running.control}/v1/status").json())["connections"] != connections:
        assert time.monotonic() < deadline, status
        time.sleep(0.01)


def connects(running: Brokenreg) -> list[dict[str, Any]]:
    """What a registry that has stopped printed of connections, in order of their end."""
    return [line for line in running.lines if line.get("endpoint") == "connect"]


def timelines(running: Brokenreg) -> list[list[str]]:
    """What happened to each connection that is in the log, in order of their coming."""
    with httpx.Client(base_url=running.control) as control:
        found = control.get("/v1/exchanges", params={"filter": "endpoint:connect"}).json()
        details = [control.get(f"/v1/exchanges/{exchange['id']}").json() for exchange in found]
    return [[point["text"] for point in detail["timeline"]] for detail in details]
