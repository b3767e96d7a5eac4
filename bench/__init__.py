"""Speed as ratios, in one run, against Debian's docker-registry: `make bench`."""
