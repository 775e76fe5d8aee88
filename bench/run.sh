#!/usr/bin/env bash
# Builds and measures; bench/README.md says what. Needs root.
#
#   bench/run.sh                    all, one after the other
#   bench/run.sh NAME [FLAG...]     bench/NAME.py; flags are passed on, --help lists them
#   bench/run.sh peers [ARGUMENT...]    other proxies beside ours: bench/peers/README.md
#   bench/run.sh --config=asan|tsan NAME [FLAG...]    programs built with a sanitizer: for soak, which measures no time
set -euo pipefail
cd "$(dirname "$0")/.."
flags=()
if [[ ${1-} == --config=* ]]; then
  flags=("$1")
  export SALLYPORT_SANITIZED=1
  shift
fi
bazel build "${flags[@]}" --noshow_progress //agent:sallyport-agent //agent/attach:sallyport-oci-hook //agent/proxy:sallyport-proxy //cli:sallyport \
  //controlplane:sallyportd //tests/fakes:dns_server //tests/fakes:recording_handler \
  //proto/sallyport/v1:descriptors //bench/...
SALLYPORT_BIN=$(bazel info "${flags[@]}" bazel-bin 2> /dev/null)
export SALLYPORT_BIN
if [[ ${1-} == peers ]]; then exec bench/peers/run.sh "${@:2}"; fi
if (($# > 0)); then exec /usr/bin/python3 "bench/$1.py" "${@:2}"; fi
for name in latency handlers transform streaming relay idle_memory slow_clients store enforced_round_trip attach many_containers fleet; do /usr/bin/python3 "bench/$name.py"; done
