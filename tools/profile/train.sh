#!/usr/bin/env bash
# Makes the profile anew by which the compiler optimizes the proxy (proxy.profdata, beside this): builds a proxy that counts what
# it executes, and puts it under the load of bench/peers' workloads. Needs root, and what bench/peers/README.md says. About ten
# minutes; the machine may have other work meanwhile, since counts are no times.
#
# A profile that is older than the code does no harm: what has changed since is compiled as if there were none. It is worth
# making anew when much of the hot path has changed; `bench/run.sh peers` tells whether it was.
set -euo pipefail
cd "$(dirname "$0")/../.."
readonly WORKLOADS=P1,P2,P2h2,P3warm,P4conn,P4bulk,P5,P9,P9tls

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bazel build --noshow_progress //cli:sallyport //controlplane:sallyportd //agent:sallyport-agent //bench/handler
plain=$(bazel info bazel-bin 2> /dev/null)
for program in cli/sallyport controlplane/sallyportd agent/sallyport-agent bench/handler/handler; do
  mkdir -p "$work/bin/$(dirname "$program")"
  cp -L "$plain/$program" "$work/bin/$program"
done
bazel build --noshow_progress --config=counting --experimental_convenience_symlinks=ignore //agent/proxy:sallyport-proxy
mkdir -p "$work/bin/agent/proxy" "$work/counts"
cp -L "$(bazel info --config=counting bazel-bin 2> /dev/null)/agent/proxy/sallyport-proxy" "$work/counting-proxy"
# %c: counts are in the file as they are made, which the proxy maps before it gives up its rights to files; it is ended by a
# signal. The agent gives it no environment.
cat > "$work/bin/agent/proxy/sallyport-proxy" << EOF
#!/bin/sh
LLVM_PROFILE_FILE=$work/counts/%c%p.profraw exec $work/counting-proxy "\$@"
EOF
chmod 755 "$work" "$work/bin/agent/proxy/sallyport-proxy"
export SALLYPORT_BIN=$work/bin BUSY=1 SECS=2 REPS=1
bench/peers/run.sh "$WORKLOADS" sallyport
bench/peers/run.sh P5 sallyport-lease sallyport-builtin
llvm-profdata-19 merge --output tools/profile/proxy.profdata "$work"/counts/*.profraw
llvm-profdata-19 show tools/profile/proxy.profdata
