"""The words of the OCI and of HTTP, with no I/O: names, digests, errors, sizes, durations, targets."""
