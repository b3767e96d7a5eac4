"""A minimal server: it sends one fixed response to every request, to measure what Python itself costs.

    python -m bench.bare FILE [CERTIFICATE KEY]

An `asyncio.Protocol` with httptools over HTTP/1.1; with a certificate, one with the h2 library over HTTP/2.
FILE is the response as HTTP/1.1 writes it; for HTTP/2, its first line is `:status: 200`. It prints its port.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import httptools

from bench.peers import Certificate, Running


class Bare1(asyncio.Protocol):
    """Responds to each request with the same bytes."""

    def __init__(self, response: bytes) -> None:
        self._response = response
        self._parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self._transport.write(self._response)


class Bare2(asyncio.Protocol):
    """Responds to each request with the same headers and body, using h2 as in its documentation."""

    def __init__(self, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        self._headers = headers
        self._body = body
        self._connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._connection.initiate_connection()
        transport.write(self._connection.data_to_send())

    def data_received(self, data: bytes) -> None:
        connection = self._connection
        for event in connection.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                connection.send_headers(event.stream_id, self._headers, end_stream=not self._body)
                if self._body:
                    connection.send_data(event.stream_id, self._body, end_stream=True)
        self._transport.write(connection.data_to_send())


@contextlib.contextmanager
def bare(file: Path, certificate: Certificate | None = None) -> Iterator[Running]:
    """Run a server that sends the response in `file`; with a certificate and key, over HTTP/2."""
    command = [sys.executable, "-m", "bench.bare", str(file), *map(str, certificate or ())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Running(f"127.0.0.1:{int(process.stdout.readline())}", process.pid)
        finally:
            process.kill()


async def main(response: bytes, *certificate: str) -> None:
    head, _, body = response.partition(b"\r\n\r\n")
    context = None
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*certificate)
        context.set_alpn_protocols(["h2"])
    fields = [(name, value) for name, _, value in (line.partition(b": ") for line in head.split(b"\r\n"))]

    def connected() -> asyncio.Protocol:
        return Bare1(response) if context is None else Bare2(fields, body)

    server = await asyncio.get_running_loop().create_server(connected, "127.0.0.1", 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]).read_bytes(), *sys.argv[2:]))
