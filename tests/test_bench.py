"""The clients and bare servers of `python -m bench floor`: requests are counted, wrong responses noticed."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from bench.bare import bare
from bench.load import Load, Request, http1, http2
from bench.peers import Certificate, make_certificate

FIRST_LINES = {http1: b"HTTP/1.1 200 OK", http2: b":status: 200"}
REST = b"\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nhello"
REQUEST = Request("GET", [f"/v2/{number}" for number in range(100)], {"User-Agent": "bench"}, 200, 5)

Send = Callable[[str, Request, float | None], Load]
each_protocol = pytest.mark.parametrize("send", [http1, http2])


def prepared(folder: Path, send: Send) -> tuple[Path, Certificate | None]:
    response = folder / "response"
    response.write_bytes(FIRST_LINES[send] + REST)
    return response, make_certificate(folder) if send is http2 else None


@each_protocol
def test_each_path_is_requested_once_or_all_for_some_time(send: Send, tmp_path: Path) -> None:
    with bare(*prepared(tmp_path, send)) as server:
        assert send(server.host, REQUEST, None).requests == 100
        load = send(server.host, REQUEST, 0.2)
    assert load.requests > 100
    assert 0.2 <= load.seconds < 5


@each_protocol
def test_a_response_of_another_size_is_an_error(send: Send, tmp_path: Path) -> None:
    with bare(*prepared(tmp_path, send)) as server, pytest.raises(ConnectionError):
        send(server.host, REQUEST._replace(body=4), None)


def test_another_status_is_an_error(tmp_path: Path) -> None:
    with bare(*prepared(tmp_path, http1)) as server, pytest.raises(ConnectionError):
        http1(server.host, REQUEST._replace(status=304), None)


def test_a_bare_server_of_http2_is_one_to_other_clients(tmp_path: Path) -> None:
    response, certificate = prepared(tmp_path, http2)
    assert certificate is not None
    with (
        bare(response, certificate) as server,
        httpx.Client(verify=ssl.create_default_context(cafile=certificate[0]), http2=True) as client,
    ):
        got = client.get(f"https://{server.host}/")
    assert (got.http_version, got.status_code, got.text) == ("HTTP/2", 200, "hello")
    assert got.headers["content-type"] == "text/plain"
