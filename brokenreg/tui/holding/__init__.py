"""Holding responses on their way: orders, breaks, edits, and what is in flight."""
