"""Where credentials are found, which of them take precedence, and errors of files and helpers."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokenreg.oci.errors import OCIError
from brokenreg.oci.upstreams import check_upstream
from brokenreg.proxy.auth.credential_files import normalise_key
from brokenreg.proxy.auth.credential_helpers import HelperError, ask_helper
from brokenreg.proxy.auth.credentials import CredentialFinder
from brokenreg.proxy.auth.tokens import Login

SECRET = "s3cret"
HELPER = """#!/bin/sh
read -r host
echo "$1 $host" >> "{asked}"
{then}
"""


class Home:
    """A home folder, an environment and a PATH for one test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked = folder / "asked"
        self.environ = {
            "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "REGISTRY_AUTH_FILE": str(folder / "chosen.json"),
            "XDG_RUNTIME_DIR": str(folder / "run"),
        }
        self.places = {
            "chosen": folder / "chosen.json",
            "runtime": folder / "run" / "containers" / "auth.json",
            "config": folder / ".config" / "containers" / "auth.json",
            "docker": folder / ".docker" / "config.json",
        }
        (folder / "bin").mkdir()

    def write(self, place: str, document: Any) -> Path:
        path = self.places[place]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        return path

    def helper(self, name: str, then: str) -> None:
        path = self.folder / "bin" / f"docker-credential-{name}"
        path.write_text(HELPER.format(asked=self.asked, then=then))
        path.chmod(0o755)

    def credentials(self) -> CredentialFinder:
        return CredentialFinder(self.environ, self.folder)

    async def find(self, upstream: str = "quay.io", repository: str = "org/image") -> Login | None:
        return await self.credentials().find(upstream, repository, print)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def entry(name: str, password: str = SECRET) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{name}:{password}".encode()).decode()}


async def test_the_first_file_with_the_host_is_used(home: Home) -> None:
    for place in reversed(home.places):
        home.write(place, {"auths": {"quay.io": entry(place)}})
        assert await home.find() == Login(place, SECRET)
    home.write("chosen", {"auths": {"ghcr.io": entry("other")}})
    assert await home.find() == Login("runtime", SECRET)


async def test_folders_come_from_the_environment(home: Home) -> None:
    home.environ = {"XDG_CONFIG_HOME": str(home.folder / "c"), "DOCKER_CONFIG": str(home.folder / "d")}
    home.places = {
        "config": home.folder / "c" / "containers" / "auth.json",
        "docker": home.folder / "d" / "config.json",
    }
    home.write("docker", {"auths": {"quay.io": entry("docker")}})
    assert await home.find() == Login("docker", SECRET)
    home.write("config", {"auths": {"quay.io": entry("config")}})
    assert await home.find() == Login("config", SECRET)


@pytest.mark.parametrize(
    ("upstream", "repository", "name"),
    [
        ("quay.io", "org/image", "org"),
        ("quay.io", "org/deep/image", "deep"),
        ("quay.io", "organisation/image", "host"),
        ("quay.io", "org/image2", "org"),
        ("docker.io", "library/alpine", "hub"),
        ("gcr.io", "p/i", "url"),
        ("localhost:5000", "a", "local"),
        ("localhost:5001", "a", None),
        ("quay.io.example.com", "org/image", None),
    ],
)
async def test_the_longest_key_is_used(home: Home, upstream: str, repository: str, name: str | None) -> None:
    keys = {
        "quay.io": "host",
        "quay.io/org": "org",
        "quay.io/org/deep": "deep",
        "https://index.docker.io/v1/": "hub",
        "https://gcr.io/v2/": "url",
        "localhost:5000": "local",
    }
    home.write("docker", {"auths": {key: entry(value) for key, value in keys.items()}})
    assert await home.find(upstream, repository) == (None if name is None else Login(name, SECRET))


@pytest.mark.parametrize(
    ("written", "login"),
    [
        ({"auth": base64.b64encode(b"me:a:b\xc3\xa9").decode()}, Login("me", "a:bé")),
        ({"username": "me", "password": SECRET}, Login("me", SECRET)),
        (
            {"identitytoken": SECRET, **entry("00000000-0000-0000-0000-000000000000", "")},
            Login(identity=SECRET),
        ),
    ],
)
async def test_entries(home: Home, written: dict[str, str], login: Login) -> None:
    home.write("config", {"auths": {"quay.io": written}})
    assert await home.find() == login


async def test_the_order_of_helpers_and_entries(home: Home) -> None:
    document: dict[str, Any] = {"credsStore": "all", "auths": {"quay.io": {}}}
    home.write("docker", document)
    home.helper("all", """echo '{"Username": "of-all", "Secret": "s3cret"}'""")
    assert await home.find() == Login("of-all", SECRET)
    home.write("docker", {**document, "auths": {"quay.io": entry("entry")}})
    assert await home.find() == Login("entry", SECRET)
    home.write("docker", {**document, "credHelpers": {"quay.io": "one"}})
    home.helper("one", """echo '{"ServerURL": "quay.io", "Username": "of-one", "Secret": "s3cret"}'""")
    assert await home.find() == Login("of-one", SECRET)
    assert home.asked.read_text().splitlines() == ["get quay.io", "get quay.io"]


async def test_a_helper_may_have_an_identity_token_or_nothing(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    home.write("docker", {"credHelpers": {"quay.io": "a", "docker.io": "b"}})
    home.helper("a", """echo '{"Username": "<token>", "Secret": "s3cret"}'""")
    home.helper("b", "echo credentials not found in native keychain; exit 1")
    assert await home.find() == Login(identity=SECRET)
    assert await home.find("docker.io", "library/alpine") is None
    assert home.asked.read_text().splitlines()[1:] == ["get https://index.docker.io/v1/", "get docker.io"]
    assert not caplog.records


async def test_the_number_of_concurrent_helpers_is_limited(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    running: set[int] = set()
    most = 0

    async def ask(*_: object) -> None:
        nonlocal most
        running.add(id(asyncio.current_task()))
        most = max(most, len(running))
        await asyncio.sleep(0)
        running.discard(id(asyncio.current_task()))

    monkeypatch.setattr("brokenreg.proxy.auth.credentials.ask_helper", ask)
    home.write("runtime", {"credHelpers": {"quay.io": "any"}})
    credentials = home.credentials()
    asking = (credentials.find("quay.io", f"org/{number}", print) for number in range(50))
    await asyncio.gather(*asking)
    assert most == 8


@pytest.mark.parametrize(
    ("name", "then", "told"),
    [
        ("bad", "echo s3cret; exit 3", "docker-credential-bad ended with status 3"),
        ("bad", "echo s3cret", "docker-credential-bad did not print JSON"),
        ("bad", "yes s3cret", "docker-credential-bad printed more than 65536 bytes"),
        ("bad", "echo '[\"s3cret\"]'", "docker-credential-bad did not print JSON"),
        ("missing-one", None, "docker-credential-missing-one is not in PATH"),
        ("../bin/bad", "echo s3cret", "invalid name of a credential helper"),
        ("Bad s3cret", None, "invalid name of a credential helper"),
    ],
)
async def test_a_broken_helper_is_logged_once(
    home: Home, caplog: pytest.LogCaptureFixture, name: str, then: str | None, told: str
) -> None:
    home.write("runtime", {"credHelpers": {"quay.io": name}})
    home.write("docker", {"auths": {"quay.io": entry("me")}})
    if then is not None:
        home.helper("bad", then)
    credentials = home.credentials()
    for _ in range(2):
        assert await credentials.find("quay.io", "org/image", print) == Login("me", SECRET)
    (line,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert told in line
    assert SECRET not in caplog.text


async def test_a_helper_that_writes_until_it_is_killed(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine it is killed late and fills the reader's buffer, so that the pipe is paused."""
    home.helper("bad", "yes s3cret")
    kill = os.killpg
    later = asyncio.get_running_loop().call_later
    monkeypatch.setattr(os, "killpg", lambda group, sent: later(0.2, kill, group, sent))
    with pytest.raises(HelperError, match="printed more than 65536 bytes"):
        await ask_helper("bad", "quay.io", home.environ, limit=5)


async def test_a_helper_that_takes_too_long_is_killed_with_its_children(
    home: Home, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("brokenreg.proxy.auth.credential_helpers.ask_helper.__defaults__", (0.3,))
    home.write("docker", {"credsStore": "slow"})
    home.helper("slow", f"sleep 1000 & echo $! > {home.folder}/child; sleep 1000")
    async with asyncio.timeout(60):
        assert await home.find() is None
    assert "docker-credential-slow took more than 0.3 s" in caplog.text
    child = int((home.folder / "child").read_text())
    until = time.monotonic() + 5
    while _runs(child):
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("s3cret{", "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ('["s3cret"]', "it is not a JSON object"),
        ('{"auths": ["s3cret"]}', 'it has "auths", which is not a JSON object'),
        ('{"auths": {"quay.io": {"auth": "s3cret!"}}}', "ignored 1 entry"),
        ('{"auths": {"quay.io": "s3cret"}}', "ignored 1 entry"),
        ("\udcff".encode("utf-8", "surrogateescape"), "it is not JSON"),
        (b" " * (1024 * 1024 + 1), "it has more than 1048576 bytes"),
    ],
)
async def test_a_broken_file_is_logged_once(
    home: Home, caplog: pytest.LogCaptureFixture, content: str | bytes, told: str
) -> None:
    path = home.write("runtime", "")
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    home.write("docker", {"auths": {"quay.io": entry("me")}})
    credentials = home.credentials()
    for _ in range(2):
        assert await credentials.find("quay.io", "org/image", print) == Login("me", SECRET)
    (record,) = caplog.records
    assert told in record.getMessage()
    assert str(path) in record.getMessage()
    assert SECRET not in caplog.text


async def test_a_folder_in_place_of_a_file_is_logged(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    home.places["docker"].mkdir(parents=True)
    assert await home.find() is None
    assert f"cannot read credentials from {home.places['docker']}: Is a directory" in caplog.text


async def test_files_are_read_again_when_they_change(home: Home) -> None:
    credentials = home.credentials()
    assert await credentials.find("quay.io", "org/image", print) is None
    for name in ("one", "two"):
        path = home.write("docker", {"auths": {"quay.io": entry(name)}})
        os.utime(path, ns=(0, time.time_ns()))
        assert await credentials.find("quay.io", "org/image", print) == Login(name, SECRET)
    path.unlink()
    assert await credentials.find("quay.io", "org/image", print) is None


@given(st.from_regex(r"[a-z0-9]{1,5}(\.[a-z0-9]{1,5}){0,2}(:[1-9][0-9]{0,3})?", fullmatch=True))
def test_keys_that_are_normalised_to_a_host(host: str) -> None:
    spellings = [
        "{}",
        "{}/",
        "{}/v1/",
        "{}/v2",
        "https://{}",
        "http://{}/",
        "https://{}/v1/",
        "HTTPS://{}/v2/",
    ]
    assert {normalise_key(each.format(host)) for each in spellings} == {check_upstream(host)}
    assert normalise_key(f"{host}/org/image") == f"{check_upstream(host)}/org/image"


@given(st.text() | st.text(":/.ahtps[]@ "))
def test_any_key_can_be_normalised(key: str) -> None:
    normal = normalise_key(key)
    if normal is not None:
        try:
            assert check_upstream(normal.partition("/")[0]) == normal.partition("/")[0]
        except OCIError:
            pytest.fail(f"{normal!r} begins with no host")


def test_a_login_shows_no_secret() -> None:
    assert SECRET not in f"{Login('me', SECRET)} {Login(identity=SECRET)!r}"


def _runs(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
