"""A proxy that sends each request to another server, as the hardest load balancer for replicas."""

from __future__ import annotations

import itertools
import socket
import socketserver
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

_CHUNK = 1 << 16
_RESET = struct.pack("ii", 1, 0)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128  # clients open many connections at the same time


@contextmanager
def round_robin(ports: Sequence[int]) -> Iterator[int]:
    """Yield the port of a proxy for HTTP/1.1 servers on 127.0.0.1.

    Each connection goes to the next server. `Connection: close` is added to its first request, so that the
    second one needs another connection. Requests within TLS stay on their connection.
    """
    turns, lock = itertools.cycle(ports), threading.Lock()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            first = _first_bytes(self.request)
            if not first:
                return
            with lock:
                port = next(turns)
            with socket.create_connection(("127.0.0.1", port)) as server:
                server.sendall(_with_close(first) if _is_http(first) else first)
                _pass_on(self.request, server)

    with _Server(("127.0.0.1", 0), Handler) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield proxy.server_address[1]
        finally:
            proxy.shutdown()
            thread.join()


def _is_http(first: bytes) -> bool:
    """Return whether a connection begins with a method, and not with a TLS record."""
    return first[:1].isalpha()


def _first_bytes(client: socket.socket) -> bytes:
    """Return what a client sends first, with the whole head of a request. Return b"" if it sends nothing."""
    received = b""
    while not received or (_is_http(received) and b"\r\n\r\n" not in received):
        chunk = client.recv(_CHUNK)
        if not chunk:
            return b""
        received += chunk
    return received


def _with_close(request: bytes) -> bytes:
    line, end, rest = request.partition(b"\r\n")
    return line + end + b"Connection: close\r\n" + rest


def _pass_on(client: socket.socket, server: socket.socket) -> None:
    """Pass bytes on in both directions until the server closes or resets the connection."""
    upwards = threading.Thread(target=_copy, args=(client, server), daemon=True)
    upwards.start()
    if not _copy(server, client):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    with suppress(OSError):
        client.shutdown(socket.SHUT_RD)  # the other direction ends
    upwards.join()
    client.close()


def _copy(source: socket.socket, target: socket.socket) -> bool:
    """Copy until the end, and pass that on too. Return False if the source was reset."""
    try:
        while chunk := source.recv(_CHUNK):
            target.sendall(chunk)
        target.shutdown(socket.SHUT_WR)
    except ConnectionResetError:
        return False
    except OSError:  # the target is closed
        pass
    return True
