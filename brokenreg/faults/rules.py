"""Rules: when which fault strikes."""

from __future__ import annotations

from dataclasses import dataclass

from brokenreg.faults.catalogue import Fault
from brokenreg.oci.target import Endpoint, Target

BLOB = "blob"
"""In a rule: config or layer."""

ENDPOINTS = (BLOB, *(str(endpoint) for endpoint in Endpoint if endpoint is not Endpoint.OTHER))
"""What a rule's `endpoint` may say."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A fault and the endpoint at which it strikes."""

    fault: Fault
    endpoint: str

    def matches(self, target: Target) -> bool:
        if self.endpoint == BLOB:
            return target.endpoint in (Endpoint.CONFIG, Endpoint.LAYER)
        return target.endpoint == self.endpoint
