"""The commands that serve nothing: the catalogue, and what is told to a running registry."""
