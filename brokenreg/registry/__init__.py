"""A correct OCI registry (distribution-spec 1.1). It does not know about faults."""

from brokenreg.registry.endpoints import Registry

__all__ = ["Registry"]
