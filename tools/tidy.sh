#!/bin/bash
# Runs clang-tidy (.clang-tidy) over our C++ sources.
#
#   tools/tidy.sh              all of them
#   tools/tidy.sh FILE...      these, for example: tools/tidy.sh $(git diff --name-only main -- '*.cc')
#
# Leaves compile_commands.json in the repository's root, which editors understand too.
set -euo pipefail
cd "$(dirname "$0")/.."

# Of a build only the headers are needed that protoc generates.
mapfile -t generated < <(bazel query 'kind(genrule, //...)' 2> /dev/null)
bazel build --keep_going "${generated[@]}" 2> /dev/null || echo "tidy.sh: some headers are not generated" >&2
tools/compile_commands.py > compile_commands.json

if (($# > 0)); then
  files=("$@")
else
  mapfile -t files < <(git ls-files -- '*.cc')
fi
# A file that no target compiles has no command: clang-tidy would guess one.
mapfile -t known < <(tools/compile_commands.py --known "${files[@]}")
if ! printf '%s\0' "${known[@]}" | xargs -0 -P "$(nproc)" -n 1 clang-tidy-19 -p . --quiet \
  2> >(grep -vE '^[0-9]+ warnings? (generated|treated)|^Suppressed|^Use -header-filter' >&2); then
  echo "tidy.sh: clang-tidy has found something, see above" >&2
  exit 1
fi
echo "tidy.sh: ${#known[@]} files are clean"
