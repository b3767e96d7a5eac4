"""What a running brokenreg tells of itself as a whole."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from brokenreg.second_origin.credential_trap import Leaks


class Status(BaseModel):
    """How the server is."""

    model_config = ConfigDict(frozen=True)

    version: str
    uptime: float = Field(description="seconds")
    registry: list[str] = Field(description="where it listens")
    second_origin: str = Field(description="where redirects and foreign locations lead")
    control: str | None
    offline: bool = Field(description="whether no upstream is ever asked")
    exchanges: int = Field(description="how many there ever were")
    in_flight: int
    held: int
    connections: int
    rules: int = Field(description="of all namespaces")
    repositories: int
    manifests: int
    blobs: int
    leaked_credentials: Leaks = Field(
        description="credentials that arrived at the second origin, where none may"
    )
