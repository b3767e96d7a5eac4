"""Reads exchanges from files: HAR of ours and of other tools, and logs with a line of JSON per exchange."""
