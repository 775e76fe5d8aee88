#!/bin/bash
# Fuzzes every fuzz target, one after the other.
#
#   tools/fuzz.sh SECONDS [TARGET...]      by default all targets that are tagged "fuzz"
#
# New inputs go to ~/.cache/sallyport/corpus, one that crashes to ~/.cache/sallyport/crashes: copy
# that into the target's testdata, where it stays a test, and mend the crash.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:?usage: tools/fuzz.sh SECONDS [TARGET...]}
shift
if (($# > 0)); then
  targets=("$@")
else
  mapfile -t targets < <(bazel query 'attr(tags, "\bfuzz\b", tests(//...))' 2> /dev/null)
fi
((${#targets[@]} > 0)) || { echo "fuzz.sh: there are no fuzz targets"; exit 0; }

bazel build --config=fuzz "${targets[@]}"
bin=$(bazel info --config=fuzz bazel-bin 2> /dev/null)
status=0
for target in "${targets[@]}"; do
  path=${target#//}
  path=${path/://}
  corpus=$HOME/.cache/sallyport/corpus/$path
  crashes=$HOME/.cache/sallyport/crashes/$path
  mkdir -p "$corpus" "$crashes"
  # The checked-in inputs, which Bazel lays beside the program, seed the corpus.
  mapfile -t seeds < <(find "$bin/$path.runfiles" -path '*/testdata/*' -type f,l 2> /dev/null)
  for seed in "${seeds[@]}"; do
    cp -n "$seed" "$corpus/$(sha1sum < "$seed" | cut -d' ' -f1)"
  done
  echo "fuzz.sh: $target for $seconds s"
  if ! log=$("$bin/$path" -max_total_time="$seconds" -artifact_prefix="$crashes/" \
    -timeout=10 -rss_limit_mb=2048 "$corpus" 2>&1); then
    tail -40 <<< "$log"
    echo "fuzz.sh: $target fails; the input is in $crashes" >&2
    status=1
  fi
  tail -1 <<< "$log"
done
exit $status
