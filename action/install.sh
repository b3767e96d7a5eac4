#!/usr/bin/env bash
# Installs brokenreg from the checkout of the action, in an environment of its own.
set -euo pipefail

environment=$RUNNER_TEMP/brokenreg-environment
"$INPUT_PYTHON" -m venv "$environment"
"$environment/bin/pip" install --quiet --disable-pip-version-check "$GITHUB_ACTION_PATH"
"$environment/bin/brokenreg" --version
