"""Whether the image that a client pushed is in the registry, with everything that it names."""

from __future__ import annotations

import hashlib
import ssl
from dataclasses import dataclass
from typing import Any

import httpx

from brokenreg.exam.report import Verdict
from brokenreg.exam.run_values import MANIFESTS
from brokenreg.oci.digests import Digest
from brokenreg.oci.errors import OCIError

_TIME = 30.0
_MOST_DOCUMENT = 4 << 20
_MOST_BLOBS = 1000
_MOST_DEPTH = 8
_MOST_BLOB = 64 << 20


async def pushed_verdict(url: str, repository: str, tag: str, ca_file: str, status: int | None) -> Verdict:
    """Return whether a client that exited with 0 has pushed a complete image."""
    verify = ssl.create_default_context(cafile=ca_file) if url.startswith("https:") else False
    try:
        async with httpx.AsyncClient(timeout=_TIME, verify=verify, trust_env=False) as http:
            problem = await _Repository(http, f"{url}/v2/{repository}").problem(tag)
    except httpx.HTTPError as error:
        problem = f"the registry does not respond: {error}"
    return Verdict(
        name="the pushed image",
        kind="pushed",
        wanted="a complete image in the registry",
        got=problem or "complete",
        met=not problem or status != 0,
        is_suspected=bool(problem) and status == 0,
    )


@dataclass(frozen=True, slots=True)
class _Repository:
    """A repository, without any rule."""

    http: httpx.AsyncClient
    url: str

    async def problem(self, reference: str, depth: int = 0) -> str:
        """Return what is missing of an image, or an empty string."""
        if depth > _MOST_DEPTH:
            return "indexes in indexes: too deep"
        found = await self.http.get(f"{self.url}/manifests/{reference}", headers={"accept": MANIFESTS})
        if found.status_code != httpx.codes.OK or len(found.content) > _MOST_DOCUMENT:
            return f"the registry has no manifest {reference} (status {found.status_code})"
        try:
            document = found.json()
        except (ValueError, RecursionError):
            return f"the manifest {reference} is not JSON"
        children = _digests(document, "manifests")
        blobs = [*_digests(document, "layers"), *_digests(document, "config")]
        if not children and not blobs:
            return f"the manifest {reference} names nothing"
        for each in children[:_MOST_BLOBS]:
            if problem := await self.problem(each, depth + 1):
                return problem
        for each in blobs[:_MOST_BLOBS]:
            if problem := await self._problem_of_blob(each):
                return problem
        return ""

    async def _problem_of_blob(self, digest: str) -> str:
        try:
            promised = Digest.parse(digest)
        except OCIError:
            return f"{digest[:200]} is not a digest"
        hasher, size = hashlib.new(promised.algorithm), 0
        async with self.http.stream("GET", f"{self.url}/blobs/{digest}") as response:
            if response.status_code != httpx.codes.OK:
                return f"the registry has no blob {digest} (status {response.status_code})"
            async for piece in response.aiter_raw():
                hasher.update(piece)
                size += len(piece)
                if size > _MOST_BLOB:
                    return ""  # too large to compare
        return "" if Digest.from_hash(hasher) == promised else f"{digest} has other bytes"


def _digests(document: Any, name: str) -> list[str]:
    """Return the digests in a member of a manifest."""
    found = document.get(name) if isinstance(document, dict) else None
    descriptors = found if isinstance(found, list) else [found]
    return [str(each.get("digest")) for each in descriptors if isinstance(each, dict)]
