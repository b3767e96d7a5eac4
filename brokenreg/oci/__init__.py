"""The terms of the OCI and of HTTP, without I/O: names, digests, errors, sizes, durations, targets."""
