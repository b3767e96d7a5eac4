"""Threads that move the bulk of bodies: from sockets to files, and from files to sockets."""
