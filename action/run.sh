#!/usr/bin/env bash
# Runs the client against each scenario. Its script and all options come from the environment.
set -euo pipefail

reports=$(mktemp -d "$RUNNER_TEMP/brokenreg-reports-XXXXXX")
echo "reports=$reports" >> "$GITHUB_OUTPUT"

options=(--timeout "$INPUT_TIMEOUT" --jobs "$INPUT_JOBS")
options+=(--html "$reports/report.html" --junit "$reports/junit.xml" --har "$reports/exchanges.har")
if [[ -z $INPUT_SCENARIOS ]]; then
  echo "::error title=brokenreg::no scenario: set the input \"scenarios\""
  exit 2
fi
IFS=$'\n'
for file in $INPUT_SCENARIOS; do # each line is a file or a glob
  options+=(--scenario "$file")
done

exec "$RUNNER_TEMP/brokenreg-environment/bin/brokenreg" run "${options[@]}" -- \
  bash --noprofile --norc -e -o pipefail -c "$INPUT_COMMAND"
