"""Files in layers that are odd: their paths, kinds, links and sizes."""

from __future__ import annotations

from brokenreg.images.catalogue.content.bombs import (
    ContentBomb,
    ContentGzipBomb,
    ContentManyFiles,
    ContentPaxBomb,
    ContentSparse,
)
from brokenreg.images.catalogue.content.kinds import ContentDevice, ContentFifo, ContentSetuid
from brokenreg.images.catalogue.content.links import ContentHardLink
from brokenreg.images.catalogue.content.names import (
    ContentNameCase,
    ContentNameControl,
    ContentNameLong,
    ContentNameNotUtf8,
    ContentNameTwice,
)
from brokenreg.images.catalogue.content.traversal import ContentTraversal
from brokenreg.images.catalogue.content.whiteouts import (
    ContentWhiteoutAndFile,
    ContentWhiteoutBare,
    ContentWhiteoutOpaque,
)

CONTENT = (
    ContentTraversal,
    ContentHardLink,
    ContentWhiteoutAndFile,
    ContentWhiteoutOpaque,
    ContentWhiteoutBare,
    ContentDevice,
    ContentFifo,
    ContentSetuid,
    ContentNameTwice,
    ContentNameLong,
    ContentNameControl,
    ContentNameNotUtf8,
    ContentNameCase,
    ContentBomb,
    ContentGzipBomb,
    ContentManyFiles,
    ContentSparse,
    ContentPaxBomb,
)
"""The kinds of this family."""
