"""The vocabulary of OCI and HTTP, without I/O: names, digests, errors, sizes, durations and targets."""
