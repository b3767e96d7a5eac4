"""Runs the jobs of the index on a database, and reports what each transaction changed."""

from brokenreg.storage.database.connection import Connection, Cursor
from brokenreg.storage.database.database import Database
from brokenreg.storage.database.engine import Engine
from brokenreg.storage.database.sqlite import SQLite

__all__ = ["Connection", "Cursor", "Database", "Engine", "SQLite"]
