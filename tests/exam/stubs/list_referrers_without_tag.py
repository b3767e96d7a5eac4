"""Does not know the fallback tag: a registry that cannot list referrers has none."""

from collections.abc import Iterator
from typing import Any

from tests.exam.stubs.list_referrers import ReferrersLister


class WithoutTag(ReferrersLister):
    def of_tag(self, digest: str) -> Iterator[dict[str, Any]]:
        return iter(())


WithoutTag().list_referrers()
