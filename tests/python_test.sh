#!/usr/bin/env bash
# Runs one of the Python system tests; the programs under test are in the runfiles.
set -euo pipefail
export PYTHONPATH=tests
exec /usr/bin/python3 "$@"
