"""The digests of all kinds with their defaults. They never change: the same tag gives the same bytes.

After a new kind was added: `python -m tests.images.catalogue.pins` prints what is missing.
"""

from __future__ import annotations

from brokenreg.images.catalogue import CATALOGUE
from brokenreg.images.catalogue.tags import kind_of

PINS = {
    "history-too-long": "sha256:2da5e87ea9cc66ae43caf2b411648aff2ac1281a8680adfc5a7def07074da295",
    "index-empty": "sha256:cfdac084f942d5e93faadf1ad06f5c3f92331ebe4e608f870e6c51d254c55f40",
    "index-missing-child": "sha256:dfc00f8286e459fbaeaffc16938bca1277bf3bd99b5e3127e202431901da9bdb",
}

if __name__ == "__main__":
    for name in CATALOGUE:
        if name not in PINS:
            print(f'    "{name}": "{kind_of(name).image().root}",')
