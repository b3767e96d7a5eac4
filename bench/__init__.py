"""Benchmarks (`make bench`): speed as ratios to Debian's docker-registry, measured in one run."""
