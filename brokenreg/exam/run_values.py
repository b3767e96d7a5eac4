"""Finds the values that a run fills in: names, credentials, files and the digest of the image."""

from __future__ import annotations

import os
import secrets
import ssl
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx

from brokenreg.concurrency import in_own_thread
from brokenreg.exam.errors import RunError
from brokenreg.exam.image_to_push import ImageToPush, write_image
from brokenreg.exam.placeholders import Values, uses, write_auth_file, write_ca_file
from brokenreg.exam.referred import referred_image
from brokenreg.exam.tasks import Task

_DIGEST_TIME = 30.0
MANIFESTS = ", ".join(
    (
        *("application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json"),
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    )
)


@dataclass(frozen=True, slots=True)
class RunningRegistry:
    """Where a registry and its control API are. `authority` is the file of its CA, if it made one."""

    registry_url: str
    control_url: str
    authority: Path | None = None

    @property
    def host(self) -> str:
        """Return HOST:PORT, as in image references."""
        return self.registry_url.partition("://")[2]


async def values_of_run(
    task: Task, command: tuple[str, ...], registry: RunningRegistry, namespace: str, folder: Path, seed: int
) -> Values:
    """Return the values of a run in a namespace, and write the files that they name to `folder`.

    The content of an image to push depends on `seed`. The digest of any other is requested in that
    of `digest_namespace`. Raise `RunError`.
    """
    name = f"broken/in/{namespace}/{task.image}"
    repository, tag = _split(name)
    username, password = _credentials()
    workdir, config = folder / "work", folder / "config"
    workdir.mkdir()
    config.mkdir(mode=0o700)
    ca_file = write_ca_file(config, registry.authority)
    to_push = await _image_to_push(task, command, folder, seed, f"{registry.host}/{name}")
    digest = to_push.digest if to_push is not None else ""
    if task.has_referrers:
        digest = referred_image(seed).digest
    if not digest and (uses(command, "digest") or task.image.startswith("broken/random:")):
        image = f"broken/in/{digest_namespace(namespace)}/{task.image}"
        digest = await _digest(registry.registry_url, image, ca_file, is_required=uses(command, "digest"))
    return Values(
        registry=registry.host,
        registry_url=registry.registry_url,
        control_url=registry.control_url,
        image=f"{registry.host}/{name}",
        repository=repository,
        tag=tag,
        digest=digest,
        workdir=str(workdir),
        username=username,
        password=password,
        auth_file=str(write_auth_file(config, registry.host, username, password)),
        ca_file=str(ca_file),
        layout=str(to_push.layout) if to_push is not None else "",
        archive=str(to_push.archive) if to_push is not None else "",
    )


async def _image_to_push(
    task: Task, command: tuple[str, ...], folder: Path, seed: int, name: str
) -> ImageToPush | None:
    """Write an image to push, if the command is to push one."""
    if not task.pushes and not uses(command, "layout") and not uses(command, "archive"):
        return None
    path = folder / "pushed"
    path.mkdir()
    return await in_own_thread(partial(write_image, path, seed, name), "an image to push")


def digest_namespace(namespace: str) -> str:
    """Return the namespace of our own request for the digest, which is not judged."""
    return f"{namespace}-digest"


async def _digest(url: str, image: str, ca_file: Path, *, is_required: bool) -> str:
    """Return the digest of an image, or an empty string if the registry has none and none is required."""
    repository, reference = _split(image)
    if reference.startswith("sha256:"):
        return reference
    verify = ssl.create_default_context(cafile=ca_file) if url.startswith("https:") else False
    try:
        async with httpx.AsyncClient(timeout=_DIGEST_TIME, verify=verify, trust_env=False) as http:
            head = await http.head(
                f"{url}/v2/{repository}/manifests/{reference}", headers={"accept": MANIFESTS}
            )
    except httpx.HTTPError as error:
        raise RunError(f"the digest of the image is unknown: {error}") from None
    digest = head.headers.get("docker-content-digest", "") if head.is_success else ""
    if not digest and is_required:
        raise RunError(f"{{digest}}: the registry has none for {repository} (status {head.status_code})")
    return str(digest)


def _credentials() -> tuple[str, str]:
    """Return the first user that the registry knows, or a name and a password that it accepts as any."""
    users = os.environ.get("BROKENREG_AUTH_USER", "").split()
    name, _, password = users[0].partition(":") if users else ("brokenreg", "", secrets.token_hex(16))
    return name, password


def _split(image: str) -> tuple[str, str]:
    """Return the repository and the reference of an image without a host."""
    if "@" in image:
        repository, _, reference = image.partition("@")
    else:
        repository, _, reference = image.rpartition(":")
    return repository, reference
