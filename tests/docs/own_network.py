"""A network with nothing but 127.0.0.1: the documented ports are free in it, and no other host is reached."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

PORTS = (8080, 8081)
"""What the documented commands listen on."""

_WAIT = """
import fcntl, socket, struct, sys
up = struct.pack("16sh", b"lo", 0x1 | 0x40)  # IFF_UP, IFF_RUNNING
fcntl.ioctl(socket.socket(), 0x8914, up)  # SIOCSIFFLAGS
print("up", flush=True)
sys.stdin.read()
"""


@contextmanager
def own_network() -> Iterator[tuple[str, ...]]:
    """The words that begin a command in a network of its own; none if that cannot be made."""
    as_user = () if os.geteuid() == 0 else ("--user", "--map-root-user")
    try:
        process = subprocess.Popen(
            ["unshare", "--net", *as_user, sys.executable, "-c", _WAIT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
    except FileNotFoundError:
        yield ()
        return
    try:
        assert process.stdout is not None
        is_up = process.stdout.readline() == "up\n"
        user = ("--user", "--preserve-credentials") if as_user else ()
        yield ("nsenter", f"--target={process.pid}", "--net", *user) if is_up else ()
    finally:
        process.communicate()


def busy_port() -> int | None:
    """The first of the ports that something listens on, if there is one."""
    for port in PORTS:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return port
    return None
