"""Transfers long bodies in threads: from sockets to files, and from files to sockets."""
