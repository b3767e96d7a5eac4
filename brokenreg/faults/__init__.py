"""Faults: the catalogue, and the context in which a fault is applied to an exchange."""
