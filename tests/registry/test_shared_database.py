"""Two brokenregs with one PostgreSQL database: clients can use either, and errors are clear without it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from tests.postgresql import PostgreSQLServer, running_server
from tests.process import brokenreg_process, run_here
from tests.registry.pushing import digest_of, error_of, image, push_blob, push_manifest, put_manifest
from tests.server import Brokenreg, brokenreg, clean_environment, serve_command
from tests.storage.object_stores import s3_server, use

PATIENCE = 30.0


@pytest.fixture
def two(tmp_path: Path, database_url: str) -> Iterator[tuple[Brokenreg, Brokenreg]]:
    options = ("--database", database_url, "--offline")
    with brokenreg(tmp_path / "one", *options) as one, brokenreg(tmp_path / "two", *options) as two:
        yield one, two


@pytest.fixture
async def clients(two: tuple[Brokenreg, Brokenreg]) -> AsyncIterator[tuple[httpx.AsyncClient, ...]]:
    one, another = two
    async with (
        httpx.AsyncClient(base_url=one.url, timeout=PATIENCE) as first,
        httpx.AsyncClient(base_url=another.url, timeout=PATIENCE) as second,
    ):
        yield first, second


async def test_what_is_pushed_to_one_is_pulled_from_the_other(clients: tuple[httpx.AsyncClient, ...]) -> None:
    """Without waiting: a miss is only reported after catching up."""
    first, second = clients
    for number in range(30):
        pusher, puller = (first, second) if number % 2 else (second, first)
        repository = f"team/app-{number}"
        body = image(b"config", f"layer {number}".encode())
        digest = await push_manifest(pusher, repository, "v1", body)
        pulled = await puller.get(f"/v2/{repository}/manifests/v1")
        assert pulled.status_code == 200, pulled.text
        assert pulled.content == body
        assert (await puller.head(f"/v2/{repository}/manifests/{digest}")).status_code == 200


async def test_lists_are_complete(clients: tuple[httpx.AsyncClient, ...]) -> None:
    first, second = clients
    subject = await push_manifest(first, "team/app", "v0", image(b"config"))
    for number in range(1, 20):
        pusher, reader = (first, second) if number % 2 else (second, first)
        body = image(
            b"config", str(number).encode(), subject={"digest": subject, "size": 1, "mediaType": "x/y"}
        )
        digest = await push_manifest(pusher, "team/app", f"v{number}", body)
        await push_manifest(pusher, f"team/other-{number}", "v1", body)
        tags = (await reader.get("/v2/team/app/tags/list")).json()["tags"]
        assert f"v{number}" in tags
        referrers = (await reader.get(f"/v2/team/app/referrers/{subject}")).json()["manifests"]
        assert digest in [each["digest"] for each in referrers]
        assert f"team/other-{number}" in (await reader.get("/v2/_catalog")).json()["repositories"]


async def test_what_is_deleted_at_one_is_gone_at_the_other(clients: tuple[httpx.AsyncClient, ...]) -> None:
    """A tag that was deleted may be served for a moment. Then it is gone everywhere."""
    first, second = clients
    body = image(b"config", b"layer")
    digest = await push_manifest(first, "team/app", "v1", body)
    assert (await second.get("/v2/team/app/manifests/v1")).status_code == 200
    assert (await second.delete("/v2/team/app/manifests/v1")).status_code == 202
    error_of(await first.delete("/v2/team/app/manifests/v1"), 404)
    assert (await second.delete(f"/v2/team/app/manifests/{digest}")).status_code == 202
    async with asyncio.timeout(PATIENCE):
        while (await first.get("/v2/team/app/manifests/v1")).status_code != 404:  # noqa: ASYNC110
            await asyncio.sleep(0.005)  # it follows within a moment


async def test_an_upload_session_belongs_to_one_of_them(clients: tuple[httpx.AsyncClient, ...]) -> None:
    first, second = clients
    location = (await first.post("/v2/team/app/blobs/uploads/")).headers["location"]
    assert error_of(await second.get(location), 404)["code"] == "BLOB_UPLOAD_UNKNOWN"
    assert (await first.patch(location, content=b"content")).status_code == 202
    assert (await first.put(location, params={"digest": digest_of(b"content")})).status_code == 201


def test_upload_sessions_survive_a_restart(tmp_path: Path, database_url: str) -> None:
    options = ("--database", database_url)
    with brokenreg(tmp_path / "data", *options) as running:
        location = httpx.post(f"{running.url}/v2/team/app/blobs/uploads/").headers["location"]
        assert httpx.patch(f"{running.url}{location}", content=b"con").status_code == 202
    assert not (tmp_path / "data" / "index.sqlite3").exists()
    with brokenreg(tmp_path / "data", *options) as running:
        done = httpx.put(
            f"{running.url}{location}", params={"digest": digest_of(b"content")}, content=b"tent"
        )
        assert done.status_code == 201, done.text


async def test_with_an_object_store_blobs_are_shared_too(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images that are pushed to one are pulled from the other, whole and in ranges, and mounted there."""
    content = bytes(range(256)) * 50_000
    with s3_server() as s3:
        location = use(s3.port, monkeypatch, "shared")
        options = ("--database", database_url, "--offline", "--blobs", str(location))
        with brokenreg(tmp_path / "one", *options) as one, brokenreg(tmp_path / "two", *options) as two:
            async with (
                httpx.AsyncClient(base_url=one.url, timeout=PATIENCE) as first,
                httpx.AsyncClient(base_url=two.url, timeout=PATIENCE) as second,
            ):
                digest = await push_blob(first, "team/app", content)
                await push_manifest(first, "team/app", "v1", image(b"config", content))
                path = f"/v2/team/app/blobs/{digest}"
                assert (await second.head(path)).headers["content-length"] == str(len(content))
                part = await second.get(path, headers={"range": "bytes=10000000-10000009"})
                assert (part.status_code, part.content) == (206, content[10_000_000:10_000_010])
                assert (await second.get(path)).content == content
                mounted = await second.post(
                    "/v2/team/other/blobs/uploads/", params={"mount": digest, "from": "team/app"}
                )
                assert mounted.status_code == 201
                assert (await first.head(f"/v2/team/other/blobs/{digest}")).status_code == 200
                again = await push_blob(second, "team/third", content)
                assert again == digest
        assert len(s3.objects("shared")) == 1


@pytest.fixture
def server() -> Iterator[PostgreSQLServer]:
    with running_server() as server:
        yield server


async def test_without_the_database_hits_are_served_and_misses_are_errors(
    tmp_path: Path, server: PostgreSQLServer
) -> None:
    with brokenreg(tmp_path / "data", "--database", server.url(), "--offline") as running:
        async with httpx.AsyncClient(base_url=running.url, timeout=PATIENCE) as client:
            body = image(b"config", b"layer")
            blob = await push_blob(client, "team/app", b"layer")
            await push_manifest(client, "team/app", "v1", body)
            server.stop()
            assert (await client.get("/v2/team/app/manifests/v1")).content == body
            assert (await client.get(f"/v2/team/app/blobs/{blob}")).content == b"layer"
            for response in (
                await client.get("/v2/team/app/manifests/v2"),
                await client.get("/v2/team/app/tags/list"),
                await client.get(f"/v2/team/app/blobs/{digest_of(b'another')}"),
                await put_manifest(client, "team/app", "v2", body),
                await client.delete("/v2/team/app/manifests/v1"),
                await client.post("/v2/team/app/blobs/uploads/"),
                await client.post(
                    "/v2/team/app/blobs/uploads/", params={"digest": digest_of(b"new")}, content=b"new"
                ),
            ):
                error = error_of(response, 503)
                assert error["code"] == "UNAVAILABLE"
                assert error["message"].startswith("the database cannot be reached: ")
                assert "a-secret" not in response.text
            server.start()
            async with asyncio.timeout(PATIENCE):
                while (await put_manifest(client, "team/app", "v2", body)).status_code != 201:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            assert (await client.get("/v2/team/app/tags/list")).json()["tags"] == ["v1", "v2"]


def test_the_password_appears_nowhere(tmp_path: Path, database_url: str) -> None:
    file = tmp_path / "database"
    file.write_text(database_url.replace("a-secret", "wrong-one"))
    refused = refusal(tmp_path, "--database-file", str(file))
    assert "password authentication failed" in refused
    invalid = run_here("serve", "--database", "mysql://root:wrong-one@127.0.0.1/x").stderr
    assert 'invalid database "mysql://***@127.0.0.1/x": use sqlite:' in invalid
    for password in ("wrong-one@x", "wrong-one/x", "x@wrong-one", "x/wrong-one"):
        url = f"postgresql://root:{password}@127.0.0.1/x"
        for command in (("serve", "--database"), ("migrate", "--from", str(tmp_path), "--to-database")):
            done = run_here(*command, url)
            assert (done.returncode, "write @ in a name or password as %40" in done.stderr) == (2, True)
            invalid += done.stderr
    shown = refused + invalid + run_here("serve", "--help", BROKENREG_DATABASE=file.read_text()).stdout
    file.write_text(f"{database_url}\n")
    with brokenreg_process(tmp_path / "data", "--database-file", str(file)) as running:
        for path in ("/v1/status", "/metrics", "/v1/exchanges"):
            shown += httpx.get(f"{running.control}{path}").text
        shown += Path(f"/proc/{running.process.pid}/cmdline").read_text()
        running.stop()
        shown += str(running.lines)
    assert "a-secret" not in shown
    assert "wrong-one" not in shown


@pytest.mark.skipif(sys.platform != "linux", reason="the arguments can be changed in /proc")
def test_the_list_of_processes_shows_no_password(tmp_path: Path, database_url: str) -> None:
    url = f"{database_url}?password=a-secret&sslmode=disable"
    options = {
        "--auth": "basic",
        "--auth-user": "ci:a-secret-password",
        "--control-token": "a-secret-token",
        "--control-read-token": "a-secret-token-to-read",
        "--fleet-key": "a-secret-of-the-fleet",
        "--blobs": "file:",
        "--upstream-proxy": "http://ci:a-secret%20login@127.0.0.1:9",
    }
    given = [each for option in options.items() for each in option]
    with brokenreg_process(tmp_path / "data", "--database", url, *given) as running:
        assert httpx.get(f"{running.url}/v2/", auth=("ci", "a-secret-password")).status_code == 200
        arguments = Path(f"/proc/{running.process.pid}/cmdline").read_text()
    assert "a-secret" not in arguments
    assert [option for option in options if option in arguments] == [*options]
    assert "postgresql://brokenreg:********@127.0.0.1" in arguments
    assert "?password=********&sslmode=disable" in arguments


def refusal(tmp_path: Path, *arguments: str, **environment: str) -> str:
    """Return what a brokenreg that cannot start prints."""
    command = [sys.executable, "-m", "brokenreg", "serve", *serve_command(tmp_path / "data", *arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=clean_environment(**environment))
    assert done.returncode == 3
    assert done.stdout == ""
    return done.stderr


def test_a_password_file_works(tmp_path: Path, database_url: str) -> None:
    passwords = tmp_path / "pgpass"
    passwords.write_text("*:*:*:brokenreg:a-secret\n")
    passwords.chmod(0o600)
    url = database_url.replace(":a-secret", "")
    with brokenreg_process(tmp_path / "data", "--database", url, PGPASSFILE=str(passwords)) as running:
        assert httpx.get(f"{running.url}/v2/_catalog").json() == {"repositories": []}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--database", "sqlite:other"], 'invalid database "sqlite:other": use sqlite:'),
        (["--database", "postgresql://x/y", "--database-file", "f"], "--database excludes --database-file"),
    ],
)
def test_invalid_options_are_usage_errors(arguments: list[str], message: str) -> None:
    done = run_here("serve", *arguments)
    assert done.returncode == 2
    assert message in done.stderr


def test_a_bad_file_is_one_clear_line(tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.write_text("nonsense")
    assert refusal(tmp_path, "--database-file", str(bad)).startswith(
        f'brokenreg: --database-file {bad}: invalid database "nonsense": use sqlite:'
    )
    missing = tmp_path / "missing"
    assert refusal(tmp_path, "--database-file", str(missing)) == (
        f"brokenreg: {missing}: No such file or directory\n"
    )


def test_a_missing_library_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "psycopg.py").write_text("raise ImportError")
    assert refusal(tmp_path, "--database", "postgresql://127.0.0.1/x", PYTHONPATH=str(tmp_path)) == (
        'brokenreg: --database postgresql:// needs psycopg: run pip install "brokenreg[fleet]"\n'
    )
