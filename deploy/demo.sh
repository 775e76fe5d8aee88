#!/usr/bin/env bash
# Installs, builds, and shows on real traffic what Sallyport is for. The origins are hosts in network namespaces of the demo's own; it needs
# no internet once it is installed and built. Ends with exit status 1 if a step does not show what it should.
set -euo pipefail
cd "$(dirname "$0")/.."

case ${1:-} in
  "") ;;
  -h | --help) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" | sed '/^set/d'; exit 0 ;;
  *) echo "demo.sh: unknown option '$1'; try --help" >&2; exit 2 ;;
esac
if ((EUID != 0)); then
  command -v sudo > /dev/null || { echo "demo.sh: making network namespaces needs root; run this as root" >&2; exit 1; }
  exec sudo -- "$0" "$@"
fi

deploy/install.sh
echo "building (some minutes on 2 cores the first time) …"
bazel build --noshow_progress --ui_event_filters=-info //deploy:demo
SALLYPORT_BIN=$(bazel info bazel-bin 2> /dev/null) exec /usr/bin/python3 deploy/demo.py
