"""A client that lists the referrers of the image of the run, and does everything right."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

from tests.exam.stubs.list_tags import Lister


class ReferrersLister(Lister):
    """It reads the fallback tag of a registry that cannot list referrers."""

    def list_referrers(self) -> None:
        """Print the digest and the type of each. Exit with status 1 and a message if that is not possible."""
        self.start()
        for index in self.indexes(os.environ["BROKENREG_DIGEST"]):
            if not isinstance(index.get("manifests"), list):
                sys.exit("the list of referrers is not an index")
            for each in index["manifests"]:
                print(each["digest"], each.get("artifactType"))

    def indexes(self, digest: str) -> Iterator[dict[str, Any]]:
        target = f"/v2/{self.repository}/referrers/{digest}"
        response, _ = self.document(target)
        if response.status != 404:
            yield from self.pages(target)
        else:
            yield from self.of_tag(digest)

    def of_tag(self, digest: str) -> Iterator[dict[str, Any]]:
        """Yield the index that the fallback tag names, if there is one."""
        target = f"/v2/{self.repository}/manifests/{digest.replace(':', '-')}"
        response, _ = self.document(target)
        if response.status != 404:
            yield from self.pages(target)


if __name__ == "__main__":
    ReferrersLister().list_referrers()
