"""Copies the content of a data folder into a database and an object store."""
