"""`kill -9` at random moments while eight clients push: everything that got a 201 is there afterwards."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import time
from pathlib import Path

import httpx
import pytest

from brokenreg.config.databases import SQLITE
from brokenreg.storage import Store
from tests.acknowledged import Acknowledged
from tests.process import brokenreg_process
from tests.registry.pushing import digest_of
from tests.storage.object_stores import environment, s3_server

pytestmark = pytest.mark.slow

CLIENTS = 8
ROUNDS = 20
ROUNDS_OF_OBJECTS = 4
DAY = 24 * 3600
LIMITS = httpx.Limits(max_connections=CLIENTS, max_keepalive_connections=CLIENTS)


async def push_until_it_dies(
    client: httpx.AsyncClient, seed: str, acknowledged: Acknowledged, answered: asyncio.Event
) -> None:
    """Push images with a blob and a tagged manifest in one of several ways, until the registry dies."""
    chance = random.Random(seed)
    repository = f"crash/{chance.randrange(4)}"
    for number in range(10_000):
        content = chance.randbytes(chance.choice([1 << 10, 1 << 16, 1 << 20]))
        digest = digest_of(content)
        try:
            await push_blob(client, repository, content, digest, chance.choice(["whole", "put", "chunked"]))
            acknowledged.blobs.append((repository, digest))
            answered.set()
            manifest = json.dumps({"layers": [{"digest": digest, "size": len(content)}]}).encode()
            tag = f"{seed}-{number}"
            response = await client.put(f"/v2/{repository}/manifests/{tag}", content=manifest)
            assert response.status_code == 201
            acknowledged.manifests.append((repository, tag, digest_of(manifest)))
        except httpx.TransportError:
            return


async def push_blob(
    client: httpx.AsyncClient, repository: str, content: bytes, digest: str, way: str
) -> None:
    uploads = f"/v2/{repository}/blobs/uploads/"
    if way == "whole":
        response = await client.post(uploads, params={"digest": digest}, content=content)
    else:
        location = (await client.post(uploads)).headers["location"]
        if way == "chunked":
            half = len(content) // 2
            patched = await client.patch(
                location, content=content[:half], headers={"content-range": f"0-{half - 1}"}
            )
            assert patched.status_code == 202
            content = content[half:]
        response = await client.put(location, params={"digest": digest}, content=content)
    assert response.status_code == 201, response.text


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_nothing_acknowledged_is_lost(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    data = tmp_path / "data"
    database = SQLITE if kind == "sqlite" else request.getfixturevalue("database_url")
    await kill_and_check(data, ROUNDS, "--database", database)
    await check_collected(data, database)


async def test_nothing_acknowledged_is_lost_with_an_object_store(tmp_path: Path) -> None:
    """What was acknowledged is in the store: after each kill, all files of blobs are removed."""
    data = tmp_path / "data"
    with s3_server() as s3:
        options = ("--blobs", "s3://blobs-of-tests/crash")
        await kill_and_check(data, ROUNDS_OF_OBJECTS, *options, **environment(s3.port))


async def kill_and_check(data: Path, rounds: int, *options: str, **variables: str) -> None:
    chance = random.Random("crash")
    arguments = ("--control", "off", *options)
    total = 0
    for round_ in range(rounds):
        acknowledged = Acknowledged()
        with brokenreg_process(data, *arguments, **variables) as running:
            answered = asyncio.Event()
            async with httpx.AsyncClient(base_url=running.url, timeout=30, limits=LIMITS) as client:
                clients = [
                    asyncio.create_task(
                        push_until_it_dies(client, f"{round_}-{number}", acknowledged, answered)
                    )
                    for number in range(CLIENTS)
                ]
                # Of a busy machine the first blob alone may take longer than all of a short moment.
                await asyncio.wait_for(answered.wait(), 30)
                await asyncio.sleep(chance.uniform(0.0, 0.5))  # the moment is what the test is about
                running.process.send_signal(signal.SIGKILL)
                await asyncio.gather(*clients)
        if "--blobs" in options:
            for file in (data / "blobs" / "sha256").iterdir():
                file.unlink()
        with brokenreg_process(data, *arguments, **variables) as running:
            await acknowledged.check(running.url)
        total += len(acknowledged)
    assert total > rounds, "the clients came to nothing; the test shows nothing"


async def check_collected(data: Path, database: str) -> None:
    """Check that after a collection no temporary file is left, and every file is a blob of a repository."""
    async with Store.open(data, database=database) as store:
        await store.collector.collect(now=time.time() + 2 * DAY)
        linked = {
            str(digest) for repository in store.index.repositories.values() for digest in repository.links
        }
    assert list((data / "uploads").iterdir()) == []
    files = {path.name for path in (data / "blobs" / "sha256").iterdir()}
    assert files == {digest.removeprefix("sha256:") for digest in linked}
    assert files
