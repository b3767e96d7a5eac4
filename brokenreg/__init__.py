"""A container-image registry that is correct until you break it, and then breaks exactly as told."""

__version__ = "0.1.0"
