"""What clients were told is stored, and whether it is."""

from __future__ import annotations

from dataclasses import dataclass, field

import httpx

from tests.registry.pushing import digest_of


@dataclass
class Acknowledged:
    """What got a 201: repository and digest of each blob; repository, tag and digest of each manifest."""

    blobs: list[tuple[str, str]] = field(default_factory=list)
    manifests: list[tuple[str, str, str]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.blobs) + len(self.manifests)

    async def check(self, url: str) -> None:
        """Check that a registry has everything."""
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:
            for repository, digest in self.blobs:
                response = await client.get(f"/v2/{repository}/blobs/{digest}")
                assert response.status_code == 200, f"lost {repository} {digest}"
                assert digest_of(response.content) == digest
            for repository, tag, digest in self.manifests:
                response = await client.get(f"/v2/{repository}/manifests/{tag}")
                assert response.status_code == 200, f"lost {repository}:{tag}"
                assert digest_of(response.content) == response.headers["docker-content-digest"] == digest
