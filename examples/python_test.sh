#!/usr/bin/env bash
# Runs the test of an example's part, beside it.
set -euo pipefail
exec /usr/bin/python3 "$@"
