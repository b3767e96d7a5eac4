"""If the data folder is removed or replaced, or the disk fails, nothing is acknowledged."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from brokenreg.storage.errors import error_for_client
from tests.registry.pushing import digest_of, error_of, image
from tests.server import Brokenreg

BEFORE = b"pushed before"


@pytest.fixture
def http(own_registry: Brokenreg) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=own_registry.url, timeout=10) as http:
        yield http


def push(http: httpx.Client) -> tuple[str, str]:
    """Push an image, and return the locations of two sessions, of which the second has received bytes."""
    assert push_blob(http, BEFORE).status_code == 201
    assert http.put("/v2/a/manifests/before", content=image(BEFORE)).status_code == 201
    sessions = [http.post("/v2/a/blobs/uploads/").headers["location"] for _ in range(2)]
    assert http.patch(sessions[1], content=b"some").status_code == 202
    return sessions[0], sessions[1]


def push_blob(http: httpx.Client, content: bytes) -> httpx.Response:
    return http.post(f"/v2/a/blobs/uploads/?digest={digest_of(content)}", content=content)


def nothing_is_acknowledged(http: httpx.Client, sessions: tuple[str, str], why: str) -> None:
    responses = [
        http.put("/v2/a/manifests/after", content=image(BEFORE, padding="x")),
        http.delete("/v2/a/manifests/before"),
        http.delete(f"/v2/a/blobs/{digest_of(BEFORE)}"),
        push_blob(http, b"after"),
        http.post("/v2/a/blobs/uploads/"),
        http.patch(sessions[0], content=b"some"),
        http.patch(sessions[1], content=b"more"),
        http.put(sessions[1], params={"digest": digest_of(b"some")}),
        http.post(f"/v2/b/blobs/uploads/?mount={digest_of(BEFORE)}&from=a"),
    ]
    for response in responses[:-1]:
        error = error_of(response, 500)
        assert (error["code"], why in error["message"]) == ("UNAVAILABLE", True), error
    assert responses[-1].status_code == 500
    assert http.get("/v2/a/manifests/before").content == image(BEFORE)
    assert http.get("/v2/a/manifests/after").status_code == 404


def test_a_folder_that_was_removed(own_registry: Brokenreg, http: httpx.Client, tmp_path: Path) -> None:
    sessions = push(http)
    away = tmp_path / "away"
    own_registry.data.rename(away)
    nothing_is_acknowledged(http, sessions, "removed or replaced")
    away.rename(own_registry.data)
    assert push_blob(http, b"after").status_code == 201
    assert http.put("/v2/a/manifests/after", content=image(BEFORE)).status_code == 201
    assert own_registry.stop() == 0


def test_a_folder_that_was_deleted_ends_without_a_traceback(
    own_registry: Brokenreg, http: httpx.Client
) -> None:
    push(http)
    shutil.rmtree(own_registry.data)
    assert push_blob(http, b"after").status_code == 500
    assert own_registry.stop() == 0
    assert "Traceback" not in own_registry.warnings


def test_another_folder_in_its_place(own_registry: Brokenreg, http: httpx.Client, tmp_path: Path) -> None:
    sessions = push(http)
    away = tmp_path / "away"
    own_registry.data.rename(away)
    shutil.copytree(away, own_registry.data)
    before = sorted(path for path in own_registry.data.rglob("*"))
    nothing_is_acknowledged(http, sessions, "removed or replaced")
    assert sorted(path for path in own_registry.data.rglob("*")) == before


@pytest.mark.parametrize("number", [errno.EROFS, errno.EIO, errno.EACCES])
def test_a_file_system_that_fails_is_named(number: int) -> None:
    error = error_for_client(OSError(number, os.strerror(number)))
    assert error is not None
    assert (error.status, os.strerror(number) in error.message) == (500, True)


def test_other_errors_are_not_reported_as_errors_of_the_folder() -> None:
    assert error_for_client(ConnectionResetError(errno.ECONNRESET, "reset")) is None
    assert error_for_client(KeyError("x")) is None


@pytest.mark.parametrize("part", ["uploads", "blobs"])
def test_a_missing_part_of_the_folder(own_registry: Brokenreg, http: httpx.Client, part: str) -> None:
    shutil.rmtree(own_registry.data / part)
    error = error_of(push_blob(http, b"after"), 500)
    assert (error["code"], "No such file or directory" in error["message"]) == ("UNAVAILABLE", True)
    assert own_registry.stop() == 0
    assert "Traceback" not in own_registry.warnings


def test_a_folder_where_a_blob_was(own_registry: Brokenreg, http: httpx.Client) -> None:
    push(http)
    blob = own_registry.data / "blobs" / digest_of(BEFORE).replace(":", "/")
    blob.unlink()
    blob.mkdir()
    for response in (http.get(f"/v2/a/blobs/{digest_of(BEFORE)}"), push_blob(http, BEFORE)):
        error = error_of(response, 500)
        assert (error["code"], "Is a directory" in error["message"]) == ("UNAVAILABLE", True)
    assert own_registry.stop() == 0
    assert "Traceback" not in own_registry.warnings
