"""Entries that are no usual files."""

from pydantic import Field

from brokenreg.images.catalogue.base import ImageKind
from brokenreg.images.catalogue.draft import Draft
from brokenreg.images.odd_image import Descriptor
from brokenreg.images.tarball import CHARACTER_DEVICE, PIPE, Entry


class ContentDevice(ImageKind):
    """The layer has a character device, which only root can create.

    By default it is a copy of `/dev/null`. With `major-0_minor-0` it is the device that overlayfs uses as a
    whiteout.
    """

    name = "content-device"
    clients = "All pull it as root. podman, docker and ctr create the device, even with `major-0_minor-0`."
    sources = 'image-spec, "layer.md", "File Types"'
    example = "major-0_minor-0"

    major: int = Field(1, ge=0, le=4095, description="major number of the device")
    minor: int = Field(3, ge=0, le=4095, description="minor number of the device")

    def make(self, draft: Draft) -> Descriptor:
        device = Entry(b"device", kind=CHARACTER_DEVICE, mode=0o666, device=(self.major, self.minor))
        return draft.image([draft.layer(device)])


class ContentFifo(ImageKind):
    """The layer has a FIFO. A client that opens it waits for a writer."""

    name = "content-fifo"
    clients = "All pull it."
    sources = 'image-spec, "layer.md", "File Types"'

    def make(self, draft: Draft) -> Descriptor:
        return draft.image([draft.layer(Entry(b"fifo", kind=PIPE))])


class ContentSetuid(ImageKind):
    """The layer has a program that belongs to root, with the setuid and setgid bits. This is valid."""

    name = "content-setuid"
    clients = "All pull it. podman, docker and ctr keep the bits."
    sources = 'image-spec, "layer.md", "File Attributes"'

    def make(self, draft: Draft) -> Descriptor:
        return draft.image([draft.layer(Entry(b"program", b"#!/bin/true\n", mode=0o6755))])
