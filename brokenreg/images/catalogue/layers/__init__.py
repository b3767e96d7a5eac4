"""Layers that are odd, apart from the files in them."""

from __future__ import annotations

from brokenreg.images.catalogue.layers.amounts import (
    LayerNone,
    LayersMany,
    LayerTwice,
    LayerWithoutBytes,
    LayerWithoutFiles,
)
from brokenreg.images.catalogue.layers.descriptors import LayerForeign, LayerSha512, LayerSizeWrong
from brokenreg.images.catalogue.layers.gzip_streams import (
    LayerGzipChecksumWrong,
    LayerGzipMembers,
    LayerGzipTrailing,
    LayerGzipTruncated,
)
from brokenreg.images.catalogue.layers.labels import (
    LayerGzipAsTar,
    LayerTar,
    LayerTarAsGzip,
    LayerZstd,
    LayerZstdAsGzip,
    LayerZstdInDocker,
)
from brokenreg.images.catalogue.layers.lazy import LayerEstargz, LayerZstdChunked

LAYERS = (
    LayerNone,
    LayerTwice,
    LayersMany,
    LayerWithoutBytes,
    LayerWithoutFiles,
    LayerTar,
    LayerZstd,
    LayerZstdInDocker,
    LayerZstdAsGzip,
    LayerGzipAsTar,
    LayerTarAsGzip,
    LayerGzipTrailing,
    LayerGzipMembers,
    LayerGzipTruncated,
    LayerGzipChecksumWrong,
    LayerZstdChunked,
    LayerEstargz,
    LayerForeign,
    LayerSizeWrong,
    LayerSha512,
)
"""The kinds of this family."""
