#!/bin/bash
# Runs clang-tidy (.clang-tidy) over our C++ sources.
#
#   tools/tidy.sh              all of them
#   tools/tidy.sh FILE...      these, for example: tools/tidy.sh $(git diff --name-only main -- '*.cc')
#
# Leaves compile_commands.json in the repository's root, which editors understand too.
set -euo pipefail
cd "$(dirname "$0")/.."

# The sources have to be built once: they include what protoc generates.
bazel build --keep_going //... > /dev/null 2>&1 || echo "tidy.sh: not everything builds" >&2
tools/compile_commands.py > compile_commands.json

if (($# > 0)); then
  files=("$@")
else
  mapfile -t files < <(git ls-files -- '*.cc')
fi
# A file that no target compiles has no command: clang-tidy would guess one.
mapfile -t known < <(tools/compile_commands.py --known "${files[@]}")
printf '%s\0' "${known[@]}" |
  xargs -0 -P "$(nproc)" -n 1 clang-tidy-19 -p . --quiet --use-color=false 2> >(
    grep -vE '^[0-9]+ warnings? (generated|treated)|^Suppressed|^Use -header-filter' >&2)
echo "tidy.sh: ${#known[@]} files are clean"
