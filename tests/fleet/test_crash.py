"""`kill -9` of a random replica while eight clients push to all of them: nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import json
import random
import signal
from itertools import cycle

import httpx
import pytest

from tests.acknowledged import Acknowledged
from tests.fleet.fleets import Fleet
from tests.process import BrokenregProcess
from tests.registry.pushing import digest_of
from tests.storage.object_stores import environment, s3_server

pytestmark = pytest.mark.slow

CLIENTS, KILLS = 8, 20


class Client:
    """Sends each request to another replica, and pushes until it is stopped."""

    def __init__(
        self, number: int, replicas: dict[str, BrokenregProcess], acknowledged: Acknowledged
    ) -> None:
        self._chance = random.Random(number)
        self._number = number
        self._names = cycle(sorted(replicas, key=lambda name: (ord(name) + number) % 3))
        self._replicas = replicas
        self._acknowledged = acknowledged
        self._http = httpx.AsyncClient(timeout=30)
        self.interrupted = 0
        """The number of uploads that ended with their replica."""

    async def push(self, stopped: asyncio.Event) -> None:
        async with self._http:
            count = 0
            while not stopped.is_set():
                count += 1
                await self._push(f"crash/{self._chance.randrange(4)}", f"{self._number}-{count}")

    async def _push(self, repository: str, tag: str) -> None:
        content = self._chance.randbytes(self._chance.choice([1 << 10, 1 << 16, 1 << 20]))
        digest = digest_of(content)
        if not await self._push_blob(repository, content, digest):
            return
        self._acknowledged.blobs.append((repository, digest))
        manifest = json.dumps({"layers": [{"digest": digest, "size": len(content)}]}).encode()
        response = await self._send("PUT", f"/v2/{repository}/manifests/{tag}", manifest)
        if response is not None:
            assert response.status_code == 201, response.text
            self._acknowledged.manifests.append((repository, tag, digest_of(manifest)))

    async def _push_blob(self, repository: str, content: bytes, digest: str) -> bool:
        """Push in three requests. Return whether the blob was acknowledged."""
        started = await self._send("POST", f"/v2/{repository}/blobs/uploads/")
        if started is None:
            return False
        assert started.status_code == 202, started.text
        path, half = started.headers["location"], len(content) // 2
        for method, part, expected in (("PATCH", content[:half], 202), ("PUT", content[half:], 201)):
            query = f"?digest={digest}" if method == "PUT" else ""
            response = await self._send(method, path + query, part)
            if response is None:
                return False
            if response.status_code != expected:
                # Also the replica that forwards can be killed, so that the session has a part of the request.
                assert response.status_code in (400, 404, 409, 503), response.text
                self.interrupted += response.status_code in (404, 503)
                return False
        return True

    async def _send(self, method: str, path: str, content: bytes = b"") -> httpx.Response | None:
        """Send a request to the next replica. Return None if that was killed."""
        try:
            return await self._http.request(
                method, self._replicas[next(self._names)].url + path, content=content
            )
        except httpx.TransportError:
            await asyncio.sleep(0.05)  # as a client that tries again
            return None


async def test_nothing_acknowledged_is_lost(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    chance, acknowledged, stopped = random.Random("fleet"), Acknowledged(), asyncio.Event()
    with s3_server() as s3:
        for name, value in environment(s3.port).items():
            monkeypatch.setenv(name, value)

        def start(name: str) -> BrokenregProcess:
            return fleet.process(name, "--control", "off", "--blobs", "s3://blobs-of-tests/crash")

        replicas = {name: start(name) for name in "abc"}
        clients = [Client(number, replicas, acknowledged) for number in range(CLIENTS)]
        pushing = [asyncio.create_task(client.push(stopped)) for client in clients]
        for _ in range(KILLS):
            await asyncio.sleep(chance.uniform(0.0, 0.5))  # the moment is what the test is about
            name = chance.choice("abc")
            replicas[name].process.send_signal(signal.SIGKILL)
            replicas[name] = await asyncio.to_thread(start, name)
        stopped.set()
        await asyncio.gather(*pushing)
        assert len(acknowledged.manifests) > KILLS, "the clients came to nothing; the test shows nothing"
        assert any(client.interrupted for client in clients), "no upload was interrupted"
        for each in replicas.values():
            await acknowledged.check(each.url)
