"""The same blobs in Azure Blob Storage and in Google Cloud Storage.

Azure is Azurite, if it is installed (`npm install azurite`). obstore uses Google's XML API, which has the
form of that of S3. So the S3 server takes its place, because fake-gcs-server and gcp-storage-emulator refuse
the uploads of obstore.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path

import httpx
import pytest

from brokenreg.config.blob_location import BlobLocation
from brokenreg.storage.objects.object_store import ObjectStore
from tests.registry.pushing import digest_of, push_blob
from tests.server import brokenreg
from tests.storage.object_stores import MIB, failing_proxy, s3_server

BUCKET = "blobs"
ACCOUNT = "devstoreaccount1"
KEY = base64.b64encode(b"the key of the tests").decode()
LARGE = random.Random("other object stores").randbytes(20 * MIB)


@contextmanager
def google() -> Iterator[None]:
    with s3_server() as s3, failing_proxy(s3) as proxy, pytest.MonkeyPatch.context() as patch:
        assert httpx.put(f"{s3.url}/{BUCKET}").status_code == 200
        scope = "Credential=name/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=any"
        proxy.replaced = {"authorization": f"AWS4-HMAC-SHA256 {scope}"}  # not Google's token
        account = {"gcs_base_url": f"http://127.0.0.1:{proxy.port}", "disable_oauth": True}
        keys = dict.fromkeys(("client_email", "private_key", "private_key_id"), "")
        patch.setenv("GOOGLE_SERVICE_ACCOUNT_KEY", json.dumps(account | keys))
        yield


@contextmanager
def azure() -> Iterator[None]:
    program = shutil.which("azurite-blob")
    if program is None:
        pytest.skip("azurite-blob is not installed")
    command = [program, "--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry"]
    with (
        pytest.MonkeyPatch.context() as patch,
        subprocess.Popen(
            [*command, "--blobHost", "127.0.0.1", "--blobPort", "0"],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{KEY}"},
        ) as process,
    ):
        assert process.stdout is not None
        try:
            line = next(line for line in process.stdout if " listens on " in line)
            url = f"{line.split()[-1]}/{ACCOUNT}"
            create_container(url)
            patch.setenv("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT)
            patch.setenv("AZURE_STORAGE_ACCOUNT_KEY", KEY)
            patch.setenv("AZURE_STORAGE_ENDPOINT", url)
            yield
        finally:
            process.kill()


def create_container(account: str) -> None:
    """Create the container with a signed request ("Authorize with Shared Key"), as obstore cannot."""
    date, version = formatdate(usegmt=True), "2021-08-06"
    resource = f"/{ACCOUNT}/{ACCOUNT}/{BUCKET}\nrestype:container"
    text = "PUT" + "\n" * 12 + f"x-ms-date:{date}\nx-ms-version:{version}\n{resource}"
    signature = base64.b64encode(hmac.digest(base64.b64decode(KEY), text.encode(), hashlib.sha256)).decode()
    headers = {
        "x-ms-date": date,
        "x-ms-version": version,
        "authorization": f"SharedKey {ACCOUNT}:{signature}",
    }
    assert httpx.put(f"{account}/{BUCKET}?restype=container", headers=headers).status_code == 201


@pytest.fixture(params=["gs", "az"])
def location(request: pytest.FixtureRequest) -> Iterator[BlobLocation]:
    with google() if request.param == "gs" else azure():
        yield BlobLocation(request.param, BUCKET, "of/ci")


async def test_blobs_are_written_read_listed_and_deleted(location: BlobLocation, tmp_path: Path) -> None:
    """A small one, and one that is written in parts and read in ranges."""
    with brokenreg(tmp_path / "data", "--blobs", str(location)) as running:
        async with httpx.AsyncClient(base_url=running.url, timeout=60) as http:
            for content in (b"small", LARGE):
                await push_blob(http, "team/app", content)
                (running.data / "blobs" / "sha256" / digest_of(content)[7:]).unlink()
                path = f"/v2/team/app/blobs/{digest_of(content)}"
                ranged = await http.get(path, headers={"range": "bytes=2-4"})
                assert (ranged.status_code, ranged.content) == (206, content[2:5])
                assert (await http.get(path)).content == content
    store = ObjectStore(location)
    objects = [each async for page in store.list("blobs") for each in page]
    assert sorted(each.size for each in objects) == [5, len(LARGE)]
    await store.delete([*(each.key for each in objects), "blobs/missing"])
    assert [page async for page in store.list("blobs") if page] == []
    if location.scheme == "az":
        await store.put("signed", b"signed")
        async with httpx.AsyncClient() as http:
            assert (await http.get(await store.sign("signed", 60))).content == b"signed"
