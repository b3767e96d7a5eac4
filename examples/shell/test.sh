#!/bin/sh
# Tests pull.sh against a brokenreg: one run for each scenario.
cd "$(dirname "$0")" || exit
exec brokenreg run --scenario retries.yaml --scenario retry-after.yaml --scenario wrong-bytes.yaml "$@" \
    -- ./pull.sh '{registry_url}/v2/{repository}' '{tag}' '{workdir}'
