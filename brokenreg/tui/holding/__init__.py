"""Holding: the keys that hold, step and resume, breakpoints, edited heads, and what is in flight."""
