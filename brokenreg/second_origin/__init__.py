"""The second origin: an object store behind signed URLs, with a trap for credentials sent to it."""
