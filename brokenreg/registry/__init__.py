"""A correct OCI registry (distribution-spec 1.1) that knows nothing about faults."""

from brokenreg.registry.endpoints import Registry

__all__ = ["Registry"]
