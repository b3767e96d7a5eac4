"""Holding responses on their way: orders, breakpoints, edits, and what is in flight."""
