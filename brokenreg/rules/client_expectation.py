"""What a scenario expects of the client itself, which a run judges."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from brokenreg.faults.catalogue.parameters import Duration
from brokenreg.oci.sizes import whole_number

_LAST_STATUS = 255


def _exit(text: str) -> str:
    status = whole_number(text)
    if text not in ("failure", "any") and (status is None or status > _LAST_STATUS):
        raise ValueError("use failure, any, or an exit status from 0 to 255")
    return text


class ClientExpectation(BaseModel):
    """What a scenario expects of the client. A server alone cannot judge it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    exit: Annotated[str, AfterValidator(_exit)] = Field(
        "0", description="exit status: a number, `failure` for any but 0, or `any`", examples=["failure"]
    )
    within: Duration | None = Field(None, description="time in which the client must end")
    output: Annotated[str, StringConstraints(min_length=1, max_length=512)] | None = Field(
        None, description="glob on what the client prints"
    )
    intact: bool = Field(False, description="whether what the client stored must match its digests")
