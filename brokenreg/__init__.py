"""A container-image registry that works until you break it, and then fails exactly as you specify."""

__version__ = "0.1.0"
