#!/bin/bash
# Checks what visibility cannot: that no program brings together two TLS libraries, and that the
# proxy, which reads what containers send, and the OCI hook carry no gRPC.
set -euo pipefail
cd "$(dirname "$0")/.."

forbid() {
  local program=$1 library=$2 path
  # A query that fails would look like one that finds nothing.
  if ! path=$(bazel query --noshow_progress "somepath($program, $library)" 2>&1); then
    echo "check_deps.sh: what $program reaches is not known:" >&2
    echo "$path" >&2
    status=1
  elif grep -q '^[/@]' <<< "$path"; then
    echo "check_deps.sh: $program must not reach $library, and does:" >&2
    echo "$path" >&2
    status=1
  fi
}

status=0
forbid //agent/proxy:sallyport-proxy //third_party:grpc
forbid //agent/proxy:sallyport-proxy //third_party:openssl
# Every container's start waits for it, and gRPC takes its time to load.
forbid //agent/attach:sallyport-oci-hook //third_party:grpc
for program in //agent:sallyport-agent //controlplane:sallyportd //cli:sallyport; do
  forbid "$program" @boringssl//:crypto
done
((status != 0)) || echo "check_deps.sh: the proxy and the hook have no gRPC, and no program two TLS libraries"
exit $status
