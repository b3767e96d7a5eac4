"""Sockets that are lent to threads, and what the event loop does with them at that time."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from brokenreg.assembly.tls import self_signed
from brokenreg.bulk.lent_socket import LentSocket, lend
from brokenreg.bulk.sendfile import FileSender


class _Receiver(asyncio.Protocol):
    """Keeps what the event loop receives."""

    def __init__(self) -> None:
        self.received = b""
        self.connected: asyncio.Future[asyncio.Transport] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.connected.set_result(transport)

    def data_received(self, data: bytes) -> None:
        self.received += data


@asynccontextmanager
async def tls_connection(folder: Path) -> AsyncIterator[tuple[_Receiver, asyncio.StreamWriter]]:
    """Connect over TLS; yield what the server receives, and how the client sends."""
    certificate = self_signed(folder, ["127.0.0.1"]).certificate
    receiver = _Receiver()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.chain, certificate.key)
    server = await asyncio.get_running_loop().create_server(lambda: receiver, "127.0.0.1", 0, ssl=context)
    client = ssl.create_default_context()
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    port = server.sockets[0].getsockname()[1]
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client)
    try:
        yield receiver, writer
    finally:
        writer.transport.abort()
        (await receiver.connected).abort()
        server.close()
        await server.wait_closed()


def buffered(transport: asyncio.Transport) -> int:
    """Return the number of encrypted bytes that asyncio has read but not decrypted."""
    size: int = transport._ssl_protocol._get_read_buffer_size()  # type: ignore[attr-defined]
    return size


async def test_reading_does_not_resume_while_a_thread_reads(tmp_path: Path) -> None:
    async with tls_connection(tmp_path) as (receiver, writer):
        transport = await receiver.connected
        transport.pause_reading()
        writer.write(b"for the thread")
        while not buffered(transport):  # noqa: ASYNC110 - it sets no event
            await asyncio.sleep(0.001)
        transport.resume_reading()  # asyncio does so in the next iteration
        lent = lend(transport, to_receive=True)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not receiver.received
        buffer = memoryview(bytearray(100))
        assert lent.receive_into(buffer) == 14
        assert bytes(buffer[:14]) == b"for the thread"
        lent.give_back()
        writer.write(b"for the loop")
        while receiver.received != b"for the loop":  # noqa: ASYNC110
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("error", [TimeoutError, ssl.SSLError, BrokenPipeError])
async def test_a_failed_network_counts_as_a_disconnect(
    error: type[OSError], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: int) -> int:
        raise error

    monkeypatch.setattr(LentSocket, "send_file", fail)
    (tmp_path / "file").write_bytes(b"content")
    with socket.create_server(("127.0.0.1", 0)) as server, (tmp_path / "file").open("rb") as file:
        address = server.getsockname()
        transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, *address)
        lent = lend(transport, to_receive=False)
        with pytest.raises(ConnectionError):
            await FileSender(lent).send(file, 0, 7)
        lent.give_back()
        transport.abort()


async def test_what_was_sent_before_the_client_disconnected_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([3])

    def send_some(*_: object) -> int:
        for count in answers:
            return count
        raise ConnectionResetError

    monkeypatch.setattr("brokenreg.bulk.lent_socket.os.sendfile", send_some)
    (tmp_path / "file").write_bytes(b"content")
    with socket.create_server(("127.0.0.1", 0)) as server, (tmp_path / "file").open("rb") as file:
        address = server.getsockname()
        transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, *address)
        lent = lend(transport, to_receive=False)
        sender = FileSender(lent)
        with pytest.raises(ConnectionError):
            await sender.send(file, 0, 7)
        assert sender.sent == 3
        lent.give_back()
        transport.abort()


async def test_waiting_bytes_are_limited_while_the_reader_pauses(tmp_path: Path) -> None:
    async with tls_connection(tmp_path) as (receiver, writer):
        transport = await receiver.connected
        transport.pause_reading()
        writer.write(bytes(4 * 1024 * 1024))
        encrypted = transport._ssl_protocol._transport  # type: ignore[attr-defined]
        while encrypted.is_reading():  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        lend(transport, to_receive=False).give_back()
        assert not encrypted.is_reading()
        transport.resume_reading()
        while len(receiver.received) < 4 * 1024 * 1024:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
