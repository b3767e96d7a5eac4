"""The status of a running brokenreg."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from brokenreg.second_origin.credential_trap import Leaks


class Status(BaseModel):
    """Version, addresses and counts of the server."""

    model_config = ConfigDict(frozen=True)

    version: str
    uptime: float = Field(description="seconds")
    registry: list[str] = Field(description="URLs at which the registry listens")
    second_origin: str = Field(
        description="URL of the second origin, to which redirects and locations of other origins lead"
    )
    control: str | None
    offline: bool = Field(description="true if no upstream is ever contacted")
    exchanges: int = Field(description="number of exchanges since the start")
    log_size: int = Field(description="bytes that the log of exchanges takes; `--log-memory` limits them")
    in_flight: int
    held: int
    connections: int
    rules: int = Field(description="number of rules in all namespaces")
    repositories: int
    manifests: int
    blobs: int
    leaked_credentials: Leaks = Field(
        description="credentials that clients sent to the second origin, which must get none"
    )
