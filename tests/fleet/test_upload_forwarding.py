"""An upload session belongs to one replica, and clients may send its requests to any."""

from __future__ import annotations

import asyncio
import hashlib
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from brokenreg.fleet.calls import CREDENTIAL
from brokenreg.fleet.directory import Replica
from brokenreg.fleet.signing import CallSigner, SignedHead
from brokenreg.oci.digests import Digest
from brokenreg.storage.uploads.upload_session import UploadSession
from brokenreg.storage.uploads.upload_store import UploadStore
from tests.fleet.fleets import KEY, Fleet, eventually, name_of, own_exchanges
from tests.process import BrokenregProcess
from tests.server import Brokenreg

MIB = 1024 * 1024
Pair = tuple[BrokenregProcess, BrokenregProcess]


def session(at: Brokenreg, repository: str) -> str:
    """Start an upload session; its path."""
    response = httpx.post(f"{at.url}/v2/{repository}/blobs/uploads/")
    assert response.status_code == 202
    return response.headers["location"]


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def code_of(response: httpx.Response) -> str:
    return str(response.json()["errors"][0]["code"])


def message_of(response: httpx.Response) -> str:
    return str(response.json()["errors"][0]["message"])


def test_a_session_continues_at_another_replica(pair: Pair) -> None:
    first, second = pair
    path = session(first, "team/app")
    assert path.startswith(f"/v2/team/app/blobs/uploads/{name_of(first)}-")
    patched = httpx.patch(f"{second.url}{path}", content=b"one ")
    assert patched.status_code == 202, patched.text
    assert (patched.status_code, patched.headers["range"]) == (202, "0-3")
    assert patched.headers["location"] == path
    assert patched.headers["docker-upload-uuid"] == path.rpartition("/")[2]
    progress = httpx.get(f"{second.url}{path}")
    assert (progress.status_code, progress.headers["range"]) == (204, "0-3")
    digest = digest_of(b"one two")
    put = httpx.put(f"{second.url}{path}", params={"digest": digest}, content=b"two")
    assert put.status_code == 201
    assert put.headers["docker-content-digest"] == digest
    assert put.headers["location"] == f"/v2/team/app/blobs/{digest}"
    assert httpx.get(f"{first.url}/v2/team/app/blobs/{digest}").content == b"one two"
    again = httpx.patch(f"{second.url}{path}", content=b"three")
    assert (again.status_code, code_of(again)) == (404, "BLOB_UPLOAD_UNKNOWN")


def test_a_session_is_cancelled_at_another_replica(pair: Pair) -> None:
    first, second = pair
    path = session(first, "team/cancelled")
    assert httpx.delete(f"{second.url}{path}").status_code == 204
    assert httpx.get(f"{first.url}{path}").status_code == 404


@pytest.mark.parametrize(
    "prefix",
    ["/v2/broken/in/ci", "/v2/broken/with/rate-limit", "/artifactory/api/docker/v2", "/quay.io/v2"],
)
@pytest.mark.parametrize("query", ["", "?ns=quay.io", "?ns=127.0.0.1"])
def test_names_mean_the_same_at_both(pair: Pair, prefix: str, query: str) -> None:
    first, second = pair
    began = httpx.post(f"{first.url}{prefix}/team/app/blobs/uploads/{query}")
    assert began.status_code == 202, began.text
    location = began.headers["location"]
    patched = httpx.patch(f"{second.url}{location}", content=b"data")
    assert (patched.status_code, patched.headers["location"]) == (202, location)


def test_a_listener_that_represents_an_upstream(fleet: Fleet) -> None:
    """Its names have another meaning than those at the fleet listener."""
    mirror = ("--listen", "127.0.0.1:0=docker.io")
    first, second = fleet.process("a", *mirror), fleet.process("b", *mirror)
    path = session(first, "nginx")
    assert httpx.patch(f"{second.url}{path}", content=b"data").status_code == 202
    put = httpx.put(f"{second.url}{path}", params={"digest": digest_of(b"data")})
    assert put.status_code == 201
    assert httpx.get(f"{first.url}{put.headers['location']}").content == b"data"


def test_the_host_of_the_client_is_a_name_of_the_registry_at_both(
    pair: Pair,
) -> None:
    """containerd sends the host of its request as `ns`."""
    first, second = pair
    for host in ("localhost:5000", "127.0.0.1:80"):
        began = httpx.post(
            f"{first.url}/v2/team/app/blobs/uploads/", params={"ns": host}, headers={"host": host}
        )
        patched = httpx.patch(
            f"{second.url}{began.headers['location']}",
            params={"ns": host},
            headers={"host": host},
            content=b"data",
        )
        assert patched.status_code == 202, patched.text


def test_errors_come_as_they_are(pair: Pair) -> None:
    first, second = pair
    path = session(first, "team/errors")
    gap = httpx.patch(f"{second.url}{path}", content=b"data", headers={"content-range": "10-13"})
    assert (gap.status_code, code_of(gap)) == (416, "RANGE_INVALID")
    assert (gap.headers["range"], gap.headers["location"]) == ("0-0", path)
    wrong = httpx.put(f"{second.url}{path}", params={"digest": digest_of(b"x")}, content=b"data")
    assert (wrong.status_code, code_of(wrong)) == (400, "DIGEST_INVALID")
    other = path.replace("team/errors", "team/other")
    assert httpx.get(f"{second.url}{other}").status_code == 404
    method = httpx.post(f"{second.url}{path}", content=b"data")
    assert (method.status_code, code_of(method)) == (405, "UNSUPPORTED")


@pytest.mark.parametrize("has_length", [True, False])
def test_a_large_body_is_streamed(pair: Pair, has_length: bool) -> None:
    first, second = pair
    part, count = bytes(range(256)) * 4096, 192
    before = second.resident()
    path = session(first, "team/large")
    headers = {"content-length": str(len(part) * count)} if has_length else {}
    content = (part for _ in range(count))
    patched = httpx.patch(f"{second.url}{path}", content=content, headers=headers, timeout=60)
    assert (patched.status_code, patched.headers["range"]) == (202, f"0-{len(part) * count - 1}")
    put = httpx.put(f"{second.url}{path}", params={"digest": digest_of(part * count)}, timeout=60)
    assert put.status_code == 201
    assert second.resident() - before < 64 * MIB, "the replica that forwards must not keep the body"


def test_a_client_that_disconnects_can_continue(pair: Pair) -> None:
    first, second = pair
    path = session(first, "team/disconnected")
    assert httpx.patch(f"{second.url}{path}", content=b"begin ").status_code == 202
    with socket.create_connection(second.host.split(":")) as client:  # type: ignore[arg-type]
        head = f"PATCH {path} HTTP/1.1\r\nhost: {second.host}\r\ncontent-length: 1000000\r\n\r\n"
        client.sendall(head.encode() + bytes(500_000))
    # The session rolls back to where it was, and then another request can claim it.
    deadline = 200
    while (put := httpx.patch(f"{second.url}{path}", content=b"end")).status_code == 409 and deadline:
        deadline -= 1
    assert (put.status_code, put.headers["range"]) == (202, "0-8")


def test_a_body_that_is_cut_short_is_an_error(pair: Pair) -> None:
    first, second = pair
    path = session(first, "team/cut")
    with socket.create_connection(second.host.split(":")) as client:  # type: ignore[arg-type]
        head = f"PATCH {path} HTTP/1.1\r\nhost: {second.host}\r\ncontent-length: 1000\r\n\r\n"
        client.sendall(head.encode() + bytes(500))
        client.shutdown(socket.SHUT_WR)
        response = client.makefile("rb").read()
    assert response.startswith(b"HTTP/1.1 400 ")
    assert b"announced 1000 bytes, received 500 bytes" in response


def test_rules_and_the_log_are_those_of_the_replica_that_the_client_uses(fleet: Fleet) -> None:
    first, second = fleet.process("a"), fleet.process("b")
    rule = {
        "fault": {"type": "error", "status": 429},
        "match": {"endpoint": "upload", "method": "PATCH"},
        "times": 1,
    }
    assert httpx.post(f"{first.control}/v1/rules", json=rule).status_code == 201
    path = session(first, "team/app")
    assert httpx.patch(f"{second.url}{path}", content=b"data").status_code == 429
    patched = httpx.patch(f"{second.url}{path}", content=b"data")
    assert patched.status_code == 202, "`first` does not evaluate the rule again"
    assert len(own_exchanges(first)) == 1, "only the start of the session"
    number = own_exchanges(second)[-1]["id"]
    events = httpx.get(f"{second.control}/v1/exchanges/{number}").json()["timeline"]
    (event,) = [each for each in events if each["kind"] == "forwarded"]
    assert event["data"]["replica"] == name_of(first)
    assert event["text"] == f"forwarded to replica {name_of(first)} ({event['data']['address']})"


def test_the_login_is_checked_where_the_client_logs_in(fleet: Fleet) -> None:
    options = ("--auth", "basic", "--auth-user", "ci:secret")
    first, second = fleet.process("a", *options), fleet.process("b", *options)
    began = httpx.post(f"{first.url}/v2/team/app/blobs/uploads/", auth=("ci", "secret"))
    path = began.headers["location"]
    assert httpx.patch(f"{second.url}{path}", content=b"data").status_code == 401
    assert httpx.patch(f"{second.url}{path}", content=b"data", auth=("ci", "secret")).status_code == 202


def test_a_replica_that_dies_in_the_middle_of_an_upload(fleet: Fleet) -> None:
    """It may start again with its sessions: the client starts again only when it counts as ended."""
    first, second = fleet.process("a"), fleet.process("b")
    path = session(first, "team/app")

    def body() -> Iterator[bytes]:
        yield bytes(MIB)
        first.stop(signal.SIGKILL)
        for _ in range(64):
            yield bytes(MIB)

    during = httpx.patch(f"{second.url}{path}", content=body(), timeout=30)
    assert (during.status_code, code_of(during)) == (503, "UNAVAILABLE")
    assert during.headers["retry-after"] == "5"
    assert name_of(first) in message_of(during)
    after = httpx.put(f"{second.url}{path}", params={"digest": digest_of(b"x")})
    assert (after.status_code, code_of(after)) == (503, "UNAVAILABLE")
    fleet.sql(f"DELETE FROM replicas WHERE name = '{name_of(first)}'")
    eventually(lambda: httpx.patch(f"{second.url}{path}", content=b"data").status_code == 404)
    unknown = httpx.patch(f"{second.url}{path}", content=b"data")
    assert (unknown.status_code, code_of(unknown)) == (404, "BLOB_UPLOAD_UNKNOWN")
    assert "start the upload again" in message_of(unknown)


def test_a_replica_that_dies_counts_as_ended_without_heartbeats(fleet: Fleet) -> None:
    first, second = fleet.process("a"), fleet.process("b")
    path = session(first, "team/app")
    first.stop(signal.SIGKILL)
    assert httpx.get(f"{second.url}{path}").status_code == 503
    eventually(lambda: httpx.get(f"{second.url}{path}").status_code == 404)


def closes(server: socket.socket) -> None:
    """Close a connection in the middle of a request."""
    connection, _ = server.accept()
    with connection:
        connection.recv(10)


def test_a_lost_connection_does_not_end_the_session(fleet: Fleet) -> None:
    second = fleet.process("b")
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.settimeout(20)
        announced(fleet, "0123abcd", f"127.0.0.1:{other.getsockname()[1]}")
        with ThreadPoolExecutor() as threads:
            closing = threads.submit(closes, other)
            response = httpx.get(f"{second.url}/v2/team/app/blobs/uploads/0123abcd-{'0' * 32}")
            closing.result()
    assert (response.status_code, code_of(response)) == (503, "UNAVAILABLE")
    assert "connection" in message_of(response)
    assert response.headers["retry-after"] == "5"


def test_the_end_of_an_upload_may_take_longer_than_other_calls(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The replica that has the session may have to hash the whole file before it responds."""
    monkeypatch.setattr("brokenreg.fleet.calls.PATIENCE", 0.3)
    monkeypatch.setattr("brokenreg.fleet.silence.PAUSE", 0.02)
    finish = UploadStore.finish

    async def slow(store: UploadStore, upload: UploadSession, digest: Digest, *, undo_to: int) -> None:
        await asyncio.sleep(1.5)  # the time that it takes is what the test is about
        await finish(store, upload, digest, undo_to=undo_to)

    monkeypatch.setattr(UploadStore, "finish", slow)
    first, second = fleet.thread("a"), fleet.thread("b")
    path = session(first, "team/app")
    put = httpx.put(f"{second.url}{path}", params={"digest": digest_of(b"data")}, content=b"data")
    assert put.status_code == 201, put.text


def test_a_session_continues_after_a_restart_of_its_replica(fleet: Fleet) -> None:
    first, second = fleet.process("a"), fleet.process("b")
    path = session(first, "team/app")
    assert httpx.patch(f"{second.url}{path}", content=b"one ").status_code == 202
    first.stop(signal.SIGKILL)
    fleet.process("a")
    put = httpx.put(f"{second.url}{path}", params={"digest": digest_of(b"one two")}, content=b"two")
    assert put.status_code == 201, put.text


def test_a_replica_that_stops_announces_it(fleet: Fleet) -> None:
    first, second = fleet.process("a"), fleet.process("b")
    path = session(first, "team/app")
    assert first.stop() == 0
    response = httpx.get(f"{second.url}{path}")
    assert response.status_code == 404
    assert "has ended" in httpx.patch(f"{second.url}{path}", content=b"x").text


def test_a_replica_with_another_key_is_not_of_the_fleet(fleet: Fleet) -> None:
    first, second = fleet.process("a"), fleet.process("b", key="another key, as long as the first")
    path = session(first, "team/app")
    response = httpx.patch(f"{second.url}{path}", content=b"data")
    assert (response.status_code, code_of(response)) == (503, "UNAVAILABLE")
    assert "--fleet-key" in message_of(response)
    assert httpx.get(f"{first.url}{path}").headers["range"] == "0-0", "nothing was written"


def announced(fleet: Fleet, name: str, address: str, host: str = "") -> None:
    """Add a replica that does not exist."""
    values = f"('{name}', '{address}', '{host or socket.gethostname()}', 1)"
    fleet.sql(f"INSERT INTO replicas (name, address, host, beat) VALUES {values}")


def created(server: socket.socket) -> None:
    """Answer one request with 201."""
    connection, _ = server.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n")


def test_another_program_at_the_address_of_a_replica_is_not_believed(fleet: Fleet) -> None:
    """A port can have another owner once a replica has ended. Its 201 must not reach the client."""
    second = fleet.process("b")
    name = "0123abcd"
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.settimeout(20)
        announced(fleet, name, f"127.0.0.1:{other.getsockname()[1]}")
        path = f"/v2/team/app/blobs/uploads/{name}-{'0' * 32}"
        with ThreadPoolExecutor() as threads:
            answering = threads.submit(created, other)
            response = httpx.put(f"{second.url}{path}", params={"digest": digest_of(b"")})
            answering.result()
    assert (response.status_code, code_of(response)) == (503, "UNAVAILABLE")


def test_an_address_outside_of_the_network_is_not_called(fleet: Fleet) -> None:
    second = fleet.process("b", "--fleet-network", "127.0.0.0/30")
    with socket.create_server(("127.0.0.9", 0)) as outside:
        announced(fleet, "0123abcd", f"127.0.0.9:{outside.getsockname()[1]}")
        response = httpx.get(f"{second.url}/v2/team/app/blobs/uploads/0123abcd-{'0' * 32}")
        assert response.status_code == 503
        outside.settimeout(0.1)
        with pytest.raises(TimeoutError):
            outside.accept()


def test_the_loopback_address_of_another_machine_is_not_called(fleet: Fleet) -> None:
    """Without --fleet-network, replicas on several machines would call themselves."""
    second = fleet.process("b")
    announced(fleet, "0123abcd", "127.0.0.1:4000", "elsewhere")
    response = httpx.get(f"{second.url}/v2/team/app/blobs/uploads/0123abcd-{'0' * 32}")
    assert response.status_code == 503
    changed = httpx.post(f"{second.control}/v1/rules", json={"fault": "error"}, timeout=30)
    assert changed.status_code == 504, "nobody knows whether the other has the rule"
    assert "replica 0123abcd (127.0.0.1:4000)" in changed.json()["detail"]


def call(to: Replica, key: str, path: str, source: str = "127.0.0.1") -> httpx.Response:
    """Send a signed call to a fleet listener from an address."""
    address = str(to.address)
    headers = {"host": address, "content-length": "0"}
    signer = CallSigner(key, Replica("0123abcd", to.address))
    head = SignedHead("GET", path, tuple(sorted(headers.items())))
    with httpx.Client(transport=httpx.HTTPTransport(local_address=source)) as client:
        return client.get(
            f"http://{address}{path}", headers={**headers, CREDENTIAL: signer.sign(to, head).header}
        )


def test_calls_from_outside_of_the_network_are_refused(fleet: Fleet) -> None:
    first = fleet.process("a", "--fleet-network", "127.0.0.0/30")
    path = session(first, "team/app")
    to = fleet.replica(first)
    assert call(to, KEY, path).status_code == 204
    assert call(to, KEY, path, "127.0.0.9").status_code == 403


def test_only_requests_for_sessions_are_served(pair: Pair, shared_fleet: Fleet) -> None:
    first, _ = pair
    to = shared_fleet.replica(first)
    for path in ("/v2/", "/v2/_catalog", "/v2/team/app/tags/list", "/v2/team/app/blobs/uploads/", "/fleet/"):
        assert call(to, KEY, path).status_code == 404
    assert call(to, "no key", "/v2/").status_code == 403
    for path in ("/v2/", "/", "/fleet/revisions/1", session(first, "team/app")):
        assert httpx.get(f"http://{to.address}{path}").status_code == 403
    assert httpx.get(f"http://{to.address}/healthz").status_code == 200
