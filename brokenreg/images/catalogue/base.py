"""The base class of all kinds of odd images, and instructions for writing one.

A kind is a subclass of `ImageKind` in a module of this package. In `__init__.py`, import it and add it to the
tuple of its family.

    from pydantic import Field

    from brokenreg.images.catalogue.base import ImageKind
    from brokenreg.images.catalogue.draft import Draft
    from brokenreg.images.odd_image import Descriptor

    class ConfigHistoryTooLong(ImageKind):
        '''The configuration has more steps in its history than the image has layers.'''

        name = "config-history-too-long"
        clients = "ctr and docker cannot pull it."
        sources = "umoci#676"

        steps: int = Field(3, ge=1, le=1000, description="number of steps without a layer")

        def make(self, draft: Draft) -> Descriptor:
            layers = [draft.layer()]
            more = [{"created_by": "a step without a layer"}] * self.steps
            history = [*draft.config_document(layers)["history"], *more]
            return draft.image(layers, draft.config(layers, history=history))

Everything else is derived from the class: the image `broken/image:config-history-too-long_steps-5`, the
command line, the control API, and docs/reference/images.md (`make reference` writes it).

- The docstring is the help. Its first line is the summary; parameters are in backticks.
- `clients` is one or more full sentences about what clients were seen to do.
- `sources` are the issues in which the kind was reported, and the section of a specification that it breaks.
- The module is the family under which the kind is listed.
- The fields are the parameters. Give each one a default, a range that bounds the size of the image, and a
  description. Every kind also has `seed`.
- `make` adds content to the draft and returns the descriptor of the manifest or index to which the tag leads.
  Keep the image valid in all respects but one. Content must depend on `draft` alone, because its digests are
  pinned in tests. Do not use a compressor: `computed` has content without one.
- Content of more than 1 MiB must be computed when it is read (`brokenreg.images.computed`). `make` runs in a
  thread. It may take a few seconds.

Add the kind to `tests/images/catalogue`: its digest, and a test that reads its bytes with a library that is
not ours and finds what the docstring says.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from brokenreg.images.catalogue.draft import Draft
from brokenreg.images.odd_image import Descriptor, OddImage
from brokenreg.oci.params import join_params


class ImageKind(BaseModel, ABC):
    """A kind of odd image. Its fields are its parameters, and its docstring is its help."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    name: ClassVar[str]
    clients: ClassVar[str]
    """Full sentences that say what clients were seen to do with it."""

    sources: ClassVar[str]
    """Where it was reported, and what it breaks."""

    example: ClassVar[str] = ""
    """Parameters for the examples in the help, as a tag spells them; empty for the defaults."""

    seed: int = Field(
        0, ge=-(2**63), lt=2**63, description="another seed gives another image of the same kind"
    )

    @abstractmethod
    def make(self, draft: Draft) -> Descriptor:
        """Add the content of the image to the draft. Return the descriptor to which its tag leads."""

    def image(self) -> OddImage:
        """Return the image. Call it in a thread: it can take seconds."""
        draft = Draft(self.tag)
        return draft.finish(self.make(draft))

    @property
    def tag(self) -> str:
        """Return the tag of the image in its canonical spelling, without parameters that have defaults."""
        given = {name: str(value).lower() for name, value in self.model_dump(exclude_defaults=True).items()}
        return "_".join(filter(None, (self.name, join_params(dict(sorted(given.items()))))))

    @classmethod
    def family(cls) -> str:
        """Return the family of the kind: its module in the catalogue."""
        return cls.__module__.removeprefix(f"{__package__}.").partition(".")[0]

    @classmethod
    def summary(cls) -> str:
        """Return the first line of the help."""
        return (cls.__doc__ or "").partition("\n")[0]
