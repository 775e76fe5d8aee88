#!/usr/bin/env bash
# Builds and measures; see bench/latency.py for what. Needs root. Arguments are passed on.
set -euo pipefail
cd "$(dirname "$0")/.."
bazel build --noshow_progress //agent:sallyport-agent //agent/proxy:sallyport-proxy //cli:sallyport \
  //controlplane:sallyportd //examples/bearer_token //tests/fakes:dns_server
SALLYPORT_BIN=$(bazel info bazel-bin 2> /dev/null) exec /usr/bin/python3 bench/latency.py "$@"
