"""Two real `brokenreg serve` with the environment of the overlay `fleet` act as one."""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import trustme

from brokenreg.oci.digests import Digest
from tests.deploy.kustomize import FLEET, pods
from tests.process import BrokenregProcess, brokenreg_process, run_here
from tests.storage.object_stores import BUCKET, S3, environment, s3_server

pytestmark = pytest.mark.slow


@pytest.fixture
def s3() -> Iterator[S3]:
    with s3_server() as server:
        yield server


@pytest.fixture
def replicas(
    tmp_path: Path, database_url: str, s3: S3
) -> Iterator[tuple[BrokenregProcess, BrokenregProcess]]:
    """Two pods: the test has chosen their addresses and folders, and everything else is of the manifests."""
    certificate = trustme.CA().issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(tmp_path / "tls.key")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "tls.crt")
    variables = pods(FLEET)["brokenreg"].environment(
        namespace="testing",
        podIP="127.0.0.1",
        key="a long and random text",
        database=database_url,
        blobs=f"s3://{BUCKET}/fleet",
    )
    variables |= {
        "BROKENREG_CERT": str(tmp_path / "tls.crt"),
        "BROKENREG_KEY": str(tmp_path / "tls.key"),
        "BROKENREG_SECOND_ORIGIN": "127.0.0.1:0",
        **environment(s3.port),
    }
    with contextlib.ExitStack() as stack:
        first, second = (
            stack.enter_context(brokenreg_process(tmp_path / name, **variables)) for name in ("a", "b")
        )
        yield first, second


def test_they_have_the_same_content_and_rules(
    replicas: tuple[BrokenregProcess, BrokenregProcess], s3: S3
) -> None:
    first, second = replicas
    blob = uuid.uuid4().bytes
    manifest = json.dumps({"layers": [{"digest": Digest.of(blob), "size": len(blob)}]}).encode()
    with (
        httpx.Client(base_url=f"{first.url}/v2/team/app", verify=False) as one,
        httpx.Client(base_url=f"{second.url}/v2/team/app", verify=False) as other,
    ):
        location = one.post("/blobs/uploads/").headers["location"]
        put = other.put(
            f"{second.url}{httpx.URL(location).path}", params={"digest": Digest.of(blob)}, content=blob
        )
        assert put.status_code == 201, put.text
        assert one.put("/manifests/v1", content=manifest).status_code == 201
        assert other.get("/manifests/v1").content == manifest
        assert one.get(f"/blobs/{Digest.of(blob)}").content == blob
        assert list(s3.objects("fleet").values()) == [len(blob)]
        added = run_here("rules", "add", "error", "status=418", "--url", first.control)
        assert added.returncode == 0, added.stderr
        assert other.get("/manifests/v1").status_code == 418
