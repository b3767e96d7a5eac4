"""What a scenario needs of the registry: a login, or TLS."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from brokenreg.rules.rule import FieldError
from brokenreg.wording import quoted


class RegistryNeeds(BaseModel):
    """What a scenario needs of the registry. Values have the names of the options of `brokenreg serve`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    auth: Literal["basic", "token"] | None = Field(
        None, description="what clients must send: HTTP Basic credentials, or a token from /token"
    )
    tls: Literal["self-signed"] | None = Field(
        None, description="TLS, with a certificate that brokenreg creates; or another that it already has"
    )

    def options(self) -> Iterator[str]:
        """Yield the options of `brokenreg serve` for a registry that has all of this."""
        for name, value in self.model_dump(exclude_none=True).items():
            yield from (f"--{name}", value)

    def check(self, auth: str, *, has_tls: bool) -> None:
        """Raise `FieldError` if a registry with this login, and perhaps TLS, lacks something."""
        if self.auth not in (None, auth):
            problem = f"the scenario needs {quoted(self.auth)}, but this registry has {quoted(auth)}"
            raise FieldError(("registry", "auth"), f"{problem}: start it with --auth {self.auth}")
        if self.tls is not None and not has_tls:
            problem = "the scenario needs TLS, but this registry has none"
            raise FieldError(("registry", "tls"), f"{problem}: start it with --tls {self.tls}")

    def merged(self, later: RegistryNeeds | None) -> RegistryNeeds:
        """Return these needs with those of a scenario that is loaded later."""
        return self if later is None else self.model_copy(update=later.model_dump(exclude_none=True))
