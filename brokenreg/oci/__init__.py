"""The words of the OCI and of HTTP, with no I/O: names, digests, media types, errors, durations, sizes, targets."""
