#!/usr/bin/env bash
# Runs a test of the package as users have it.
set -euo pipefail
export PYTHONPATH=sdk/python/sallyport.zip
exec /usr/bin/python3 "$@"
