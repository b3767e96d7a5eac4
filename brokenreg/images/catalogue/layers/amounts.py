"""Images with too few or too many layers, and layers without content."""

from typing import Literal

from pydantic import Field

from brokenreg.images.catalogue.base import ImageKind
from brokenreg.images.catalogue.draft import Draft, Layer
from brokenreg.images.computed import digest_of
from brokenreg.images.image import Document
from brokenreg.images.odd_image import Descriptor
from brokenreg.images.tarball import END
from brokenreg.oci.mediatypes import OCI_LAYER


class LayerNone(ImageKind):
    """The image has no layers.

    `form` selects what the manifest has: `layers` is an empty list, null, or absent.
    """

    name = "layer-none"
    clients = "All pull it, except that oras fails with `form-null`: `'NoneType' object is not iterable`."
    sources = (
        'moby#27568, containers/image#725, image-spec#1025; image-spec, "manifest.md": `layers` is required'
    )
    example = "form-null"

    form: Literal["empty", "null", "absent"] = Field("empty", description="what the manifest has as `layers`")

    def make(self, draft: Draft) -> Descriptor:
        document = draft.image_document([])
        if self.form == "null":
            document["layers"] = None
        elif self.form == "absent":
            del document["layers"]
        return draft.manifest(document)


class LayerTwice(ImageKind):
    """The manifest has the same layer several times.

    The configuration has the diff_id of this layer the same number of times, so the image is valid.
    """

    name = "layer-twice"
    clients = "All pull it. ctr took 27 s with `times-50`."
    sources = "containerd#3583, kitops#687"

    times: int = Field(2, ge=2, le=100, description="how many times the manifest has the layer")

    def make(self, draft: Draft) -> Descriptor:
        return draft.image([draft.layer()] * self.times)


class LayersMany(ImageKind):
    """The image has many layers, each with one small file."""

    name = "layers-many"
    clients = (
        "skopeo, podman, buildah, ctr and oras pull it. docker does not: `max depth exceeded`. docker "
        "pulls `count-125`."
    )
    sources = 'moby, "max depth exceeded"; the specification has no limit'
    example = "count-200"

    count: int = Field(128, ge=2, le=1000, description="number of layers")

    def make(self, draft: Draft) -> Descriptor:
        return draft.image([draft.layer(label=str(number)) for number in range(1, self.count + 1)])


class LayerWithoutBytes(ImageKind):
    """The last layer is a blob of 0 bytes, but its media type says that it is a gzip stream."""

    name = "layer-zero-bytes"
    clients = (
        "skopeo, podman, buildah and docker pull it. ctr does not: `reports content size of zero`. Nor does "
        "oras: `empty file`."
    )
    sources = "RFC 1952: a gzip stream has at least 20 bytes"

    def make(self, draft: Draft) -> Descriptor:
        nothing = Document(b"")
        empty = Layer(draft.blob(nothing, OCI_LAYER), str(digest_of(nothing)))
        return draft.image([draft.layer(), empty])


class LayerWithoutFiles(ImageKind):
    """The last layer is a tar without entries: 1,024 zero bytes, compressed with gzip.

    Such layers are valid. Builders create them from steps that change no files.
    """

    name = "layer-tar-empty"
    clients = "All pull it."
    sources = 'POSIX.1-2024, "pax": an archive ends with two records of zeros'

    def make(self, draft: Draft) -> Descriptor:
        return draft.image([draft.layer(), draft.packed_layer(Document(END))])
