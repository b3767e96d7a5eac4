"""Registries that follow a profile: for all requests, and for one image by its path."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests import raw_http
from tests.registry.pushing import OCI_INDEX, OCI_MANIFEST, descriptor, digest_of, image
from tests.running_registry import Pushed
from tests.server import Brokenreg, brokenreg

IN_TOTO = "application/vnd.in-toto+json"
REPOSITORY = "team/app"


@dataclass(frozen=True)
class Content:
    """What the registry has: an image with one layer, and an index of it and an attestation."""

    data: Path
    image: Pushed
    attestation: bytes
    index: bytes


@dataclass(frozen=True)
class Served:
    """A registry that follows a profile, under a prefix of names."""

    running: Brokenreg
    prefix: str
    content: Content

    @property
    def is_path(self) -> bool:
        return bool(self.prefix)

    def manifest(self, reference: str = "v1") -> str:
        return self.content.image.manifest_path(self.prefix, reference)

    @property
    def manifest_digest(self) -> str:
        return digest_of(self.content.image.manifest)

    @property
    def layer(self) -> str:
        return self.content.image.layer_path(self.prefix)

    @property
    def config(self) -> str:
        return self.content.image.blob_path(self.content.image.config, self.prefix)

    @property
    def root(self) -> str:
        """The path of the repository."""
        return f"/v2/{self.prefix}{REPOSITORY}"

    @property
    def token(self) -> str:
        return f"/token?service=brokenreg&scope=repository:{self.prefix}{REPOSITORY}:pull"

    def ask(
        self,
        path: str,
        method: str = "GET",
        headers: raw_http.Headers = (),
        content: bytes = b"",
        *,
        client: str = "",
        timeout: float = raw_http.TIMEOUT,
    ) -> raw_http.Answer:
        """One request on a connection of its own, perhaps from another address of this machine."""
        with raw_http.HTTP1(self.running, source=client) as connection:
            return connection.ask(path, method, headers, content, timeout=timeout)

    def follow(self, answer: raw_http.Answer, headers: dict[str, str] | None = None) -> httpx.Response:
        """The response at the URL of a redirect."""
        location = answer.header("location")
        assert location is not None
        assert urlsplit(location).netloc not in ("", self.running.host)
        return httpx.get(location, headers=headers)


@pytest.fixture(scope="session")
def content(tmp_path_factory: pytest.TempPathFactory) -> Content:
    chance = Random(18)
    config, layer, statement = chance.randbytes(500), chance.randbytes(5000), b'{"_type":"statement"}'
    pushed = Pushed(REPOSITORY, image(config, layer), config, (layer,))
    attestation = image(config, layers=[descriptor(statement, IN_TOTO)])
    index = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": [descriptor(each, OCI_MANIFEST) for each in (pushed.manifest, attestation)],
        }
    ).encode()
    data = tmp_path_factory.mktemp("profiles") / "data"
    with brokenreg(data) as running, httpx.Client(base_url=running.url) as http:
        for blob in (config, layer, statement):
            url = f"/v2/{REPOSITORY}/blobs/uploads/"
            assert http.post(url, params={"digest": digest_of(blob)}, content=blob).status_code == 201
        for reference, body, kind in (
            ("v1", pushed.manifest, OCI_MANIFEST),
            (digest_of(attestation), attestation, OCI_MANIFEST),
            ("index", index, OCI_INDEX),
        ):
            headers = {"content-type": kind}
            url = f"/v2/{REPOSITORY}/manifests/{reference}"
            assert http.put(url, content=body, headers=headers).status_code == 201
    return Content(data, pushed, attestation, index)


@pytest.fixture(scope="session")
def without_profile(content: Content, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokenreg]:
    """A registry without rules."""
    data = tmp_path_factory.mktemp("profiles") / "copy"
    shutil.copytree(content.data, data)
    with brokenreg(data) as running:
        yield running


@pytest.fixture(params=["scenario", "path"])
def serve(request: Any, content: Content, without_profile: Brokenreg) -> Iterator[Callable[[str], Served]]:
    """Return a function that serves a profile, with all counts at 0."""
    with ExitStack() as stack:

        def start(name: str) -> Served:
            if request.param == "path":
                assert httpx.post(f"{without_profile.control}/v1/reset").is_success
                return Served(without_profile, f"broken/as/{name}/", content)
            running = stack.enter_context(brokenreg(content.data, "--scenario", f"profile:{name}"))
            return Served(running, "", content)

        yield start
