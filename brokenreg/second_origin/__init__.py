"""The second origin: an object store behind signed URLs, and the trap for credentials sent there."""
