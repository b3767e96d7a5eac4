"""Faults: the catalogue, and what a fault can do to one exchange."""
