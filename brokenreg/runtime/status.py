"""The status of a running brokenreg."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from brokenreg.second_origin.credential_trap import Leaks


class Status(BaseModel):
    """The version, addresses and counters of the server."""

    model_config = ConfigDict(frozen=True)

    version: str
    uptime: float = Field(description="seconds since the start")
    registry: list[str] = Field(description="URLs at which the registry listens")
    second_origin: str = Field(
        description="URL of the second origin, to which redirects and foreign locations lead"
    )
    control: str | None
    replica: str | None = Field(None, description="name of this brokenreg in its fleet; null without one")
    database: str = Field(description="URL of the database that has the index, without its password")
    blob_storage: str = Field(
        description="URL of the place that has the blobs: the data folder, or an object store"
    )
    offline: bool = Field(description="true if upstreams are never contacted")
    exchanges: int = Field(description="number of exchanges since the start")
    log_size: int = Field(description="memory that the exchange log uses, in bytes; `--log-memory` limits it")
    in_flight: int
    held: int
    connections: int
    rules: int = Field(description="number of rules in all namespaces")
    repositories: int
    manifests: int
    blobs: int
    leaked_credentials: Leaks = Field(
        description="credentials that clients sent to the second origin, although it must not get any"
    )


class FleetStatus(Status):
    """The status of a server, and those of all replicas of its fleet."""

    replicas: dict[str, Status] = Field(
        {}, description="the status of each replica by its name; absent without `replica=*`"
    )
