"""What a scenario expects of the client itself, which a run judges."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from brokenreg.faults.catalogue.parameters import Duration
from brokenreg.oci.sizes import whole_number
from brokenreg.traffic.matching import Globs

_LAST_STATUS = 255
_IMAGE = re.compile(r"[a-z0-9][a-z0-9._/-]*+(?::[\w.-]+|@sha\d+:[0-9a-f]+)", re.ASCII)


def _exit(text: str) -> str:
    status = whole_number(text)
    if text not in ("failure", "any") and (status is None or status > _LAST_STATUS):
        raise ValueError("use failure, any, or an exit status from 0 to 255")
    return text


def _image(text: str) -> str:
    if _IMAGE.fullmatch(text) is None:
        raise ValueError("use REPOSITORY:TAG or REPOSITORY@DIGEST, such as broken/random:layers-1_size-1024")
    return text


class ClientExpectation(BaseModel):
    """What a scenario expects of the client. A server alone cannot judge it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    exit: Annotated[str, AfterValidator(_exit)] = Field(
        "0",
        description="exit status: a number, `failure` for any but 0, or `any`, even a signal",
        examples=["failure"],
    )
    within: Duration | None = Field(None, description="time in which the client must end")
    output: Globs | None = Field(None, description="glob on all that the client prints; a|b matches a or b")
    intact: bool = Field(False, description="whether what the client stored must match its digests")
    image: Annotated[str, StringConstraints(max_length=500), AfterValidator(_image)] | None = Field(
        None, description="image that `{image}` names, with its tag or digest, and without a host"
    )
