#!/bin/bash
# Installs what is missing, checks the format, builds, and runs every test. Ends with a line
# "N passed, N failed".
#
#   tests/run.sh                          all of that
#   tests/run.sh --full                   what a release has to pass: every test also under AddressSanitizer
#                                         and UndefinedBehaviorSanitizer, and under ThreadSanitizer (but for
#                                         rootless_test, which it keeps from making a user namespace);
#                                         clang-tidy, 1,000 kills of the control plane, proxies and agents
#                                         that are restarted and killed at full rates, and a minute for
#                                         every fuzz target
#   tests/run.sh --config=CONFIG          the tests of plain, asan or tsan alone; repeatable
#   tests/run.sh [--config=…] TARGET...   these Bazel targets in place of //...
#
# Needs root: tests make network namespaces. Installs what is missing by deploy/install.sh.
set -euo pipefail
cd "$(dirname "$0")/.."

configs=()
full=false
targets=()
for argument in "$@"; do
  case $argument in
    --full) full=true ;;
    --config=plain | --config=asan | --config=tsan) configs+=("${argument#*=}") ;;
    --config*) echo "run.sh: write --config=plain, --config=asan or --config=tsan" >&2; exit 2 ;;
    -h | --help) sed -n '2,/^$/s/^# \{0,1\}//p;/^set/q' "$0"; exit 0 ;;
    -*) echo "run.sh: unknown option '$argument'; try --help" >&2; exit 2 ;;
    *) targets+=("$argument") ;;
  esac
done
((${#targets[@]} > 0)) || targets=(//...)
if $full; then configs=(plain asan tsan); fi
((${#configs[@]} > 0)) || configs=(plain)

if ((EUID != 0)); then
  command -v sudo > /dev/null || { echo "run.sh: tests need root; run this as root" >&2; exit 1; }
  echo "run.sh: becoming root with sudo, for the network namespaces"
  exec sudo -- "$0" "$@"
fi

deploy/install.sh
# Bazel never forgets what is in its disk cache.
find ~/.cache/sallyport/bazel-disk -type f -atime +14 -delete 2> /dev/null || true

failed_steps=()
step() {
  echo "=== $1"
  shift
  "$@" || failed_steps+=("$*")
}

events=$(mktemp -d)
trap 'rm -rf "$events"' EXIT

# Two cores are enough: tests wait more than they compute, but compilers do not.
bazel_test() {
  local config=$1 flags=()
  [[ $config == plain ]] || flags=(--config="$config")
  bazel test "${flags[@]}" --keep_going --noshow_progress --local_test_jobs=2 \
    --build_event_json_file="$events/$config.json" -- "${targets[@]}"
}

step "format" tools/format.sh
step "dependencies" tools/check_deps.sh
if $full; then step "clang-tidy" tools/tidy.sh; fi
for config in "${configs[@]}"; do
  step "tests, $config" bazel_test "$config"
done
if $full; then
  step "1,000 kills" bazel test --noshow_progress --test_output=streamed //controlplane:kill_full_test
  step "restarts and kills" bazel test --noshow_progress --nocache_test_results --test_env=RESTART_RATE=1000 \
    --test_env=RESTART_PROXIES=1000 --test_env=RESTART_AGENTS=200 --test_env=RESTART_KILLS=500 \
    --test_env=RESTART_BACK_SECONDS=2 //tests:restart_test
  step "fuzz" tools/fuzz.py 60
fi

for failed in "${failed_steps[@]}"; do echo "run.sh: failed: $failed"; done
status=0
tools/count_tests.py "$events"/*.json || status=1
((${#failed_steps[@]} == 0)) || status=1
exit $status
