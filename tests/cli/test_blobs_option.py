"""`--blobs` and `--blob-redirect`: valid places, and one clear line for everything else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from brokenreg.config.blob_location import BlobLocation
from brokenreg.storage import Store
from brokenreg.storage.errors import StorageError
from tests.process import run_here

PLACES = {
    "file:": BlobLocation(),
    "s3://bucket": BlobLocation("s3", "bucket"),
    "s3://bucket/": BlobLocation("s3", "bucket"),
    "gs://my.bucket/of/ci": BlobLocation("gs", "my.bucket", "of/ci"),
    "az://container/of-ci/": BlobLocation("az", "container", "of-ci"),
}


@pytest.mark.parametrize("text", PLACES)
def test_a_place(text: str) -> None:
    location = BlobLocation.parse(text)
    assert location == PLACES[text]
    assert BlobLocation.parse(str(location)) == location


@pytest.mark.parametrize(
    "text",
    [
        "",
        "s3://",
        "s3:bucket",
        "ftp://bucket",
        "s3://Bucket",
        "s3://b/../c",
        "s3://b//c",
        "file:///tmp",
        "s3://b?x=1",
    ],
)
def test_an_invalid_place(text: str, tmp_path: Path) -> None:
    done = run_here("serve", "--data", str(tmp_path), "--blobs", text)
    assert done.returncode == 2
    assert "use file:, s3://BUCKET[/PREFIX], gs://BUCKET[/PREFIX] or az://CONTAINER[/PREFIX]" in done.stderr


def test_redirects_require_an_object_store(tmp_path: Path) -> None:
    done = run_here("serve", "--data", str(tmp_path), "--blob-redirect")
    assert done.returncode == 2
    assert "--blob-redirect requires an object store: add --blobs" in done.stderr


async def test_a_missing_library_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(StorageError) as failed:
        async with Store.open(tmp_path / "data", location=BlobLocation.parse("s3://bucket")):
            pass
    assert str(failed.value) == '--blobs s3://bucket needs obstore: run pip install "brokenreg[fleet]"'
