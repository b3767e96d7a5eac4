"""What processes with the same database share, apart from content: documents, counts, leases, heartbeats."""
