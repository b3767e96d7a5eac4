"""Upload sessions can be continued after `kill -9` and a restart."""

from __future__ import annotations

import random
import signal
from pathlib import Path

import httpx
import pytest

from tests.process import brokenreg_process
from tests.registry.pushing import connect, digest_of, stored, until_in_flight
from tests.server import Brokenreg

pytestmark = pytest.mark.slow

CONTENT = random.Random("restart").randbytes(1_200_000)
HALF = 700_000


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_an_upload_across_a_restart(tmp_path: Path, end: int, algorithm: str) -> None:
    digest = digest_of(CONTENT, algorithm)
    with brokenreg_process(tmp_path / "data") as running, httpx.Client(base_url=running.url) as http:
        begun = http.post(f"/v2/restart/blobs/uploads/?digest-algorithm={algorithm}")
        session = begun.headers["location"]
        assert http.patch(session, content=CONTENT[:HALF]).status_code == 202
        running.stop(end)
    with brokenreg_process(tmp_path / "data") as running, httpx.Client(base_url=running.url) as http:
        status = http.get(session)
        assert (status.status_code, status.headers["range"]) == (204, f"0-{HALF - 1}")
        headers = {"content-range": f"{HALF}-{len(CONTENT) - 1}"}
        assert http.patch(session, content=CONTENT[HALF:], headers=headers).status_code == 202
        done = http.put(session, params={"digest": digest})
        assert (done.status_code, done.headers["docker-content-digest"]) == (201, digest)
        assert http.get(f"/v2/restart/blobs/{digest}").content == CONTENT
        running.stop(end)
    with brokenreg_process(tmp_path / "data") as running:
        assert httpx.get(f"{running.url}/v2/restart/blobs/{digest}").content == CONTENT
        assert {path for path in stored(running) if path.startswith("uploads/")} == set()


def test_a_kill_in_the_middle_of_a_chunk(tmp_path: Path) -> None:
    """Fewer bytes may be stored than were sent. The client requests the offset and continues there."""
    digest = digest_of(CONTENT)
    with brokenreg_process(tmp_path / "data") as running:
        session = httpx.post(f"{running.url}/v2/restart/blobs/uploads/").headers["location"]
        httpx.patch(f"{running.url}{session}", content=CONTENT[:1000])
        half_a_chunk_then_kill(running, session)
    with brokenreg_process(tmp_path / "data") as running, httpx.Client(base_url=running.url) as http:
        received = int(http.get(session).headers["range"].removeprefix("0-")) + 1
        assert 1000 <= received < len(CONTENT)
        headers = {"content-range": f"{received}-{len(CONTENT) - 1}"}
        done = http.put(session, params={"digest": digest}, content=CONTENT[received:], headers=headers)
        assert done.status_code == 201
        assert http.get(f"/v2/restart/blobs/{digest}").content == CONTENT


def half_a_chunk_then_kill(running: Brokenreg, session: str) -> None:
    head = (
        f"PATCH {session} HTTP/1.1\r\nHost: {running.host}\r\nContent-Length: {len(CONTENT) - 1000}\r\n\r\n"
    )
    path = running.data / "uploads" / session.rsplit("/", 1)[1]
    with connect(running) as connection:
        connection.sendall(head.encode() + CONTENT[1000 : len(CONTENT) - 1])
        until_in_flight(running, 1)
        while path.stat().st_size == 1000:  # some of it is on disk
            pass
        running.stop(signal.SIGKILL)


def test_a_whole_push_that_was_killed_leaves_nothing(tmp_path: Path) -> None:
    """`POST ?digest=` has no session to continue, so its bytes are removed after the restart."""
    with brokenreg_process(tmp_path / "data") as running:
        url = f"/v2/restart/blobs/uploads/?digest={digest_of(CONTENT)}"
        head = f"POST {url} HTTP/1.1\r\nHost: {running.host}\r\nContent-Length: {len(CONTENT)}\r\n\r\n"
        with connect(running) as connection:
            connection.sendall(head.encode() + CONTENT[:-1])
            while not any(path.stat().st_size for path in (running.data / "uploads").iterdir()):
                pass
            running.stop(signal.SIGKILL)
        assert stored(running) != set()
    with brokenreg_process(tmp_path / "data") as running:
        while stored(running):
            pass
        assert httpx.get(f"{running.url}/v2/restart/blobs/{digest_of(CONTENT)}").status_code == 404
