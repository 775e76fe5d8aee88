#!/bin/bash
# Checks that every tracked C++ file is formatted as .clang-format says; --fix formats them.
set -euo pipefail
cd "$(dirname "$0")/.."

mode=(--dry-run --Werror)
case "${1:-}" in
  "") ;;
  --fix) mode=(-i) ;;
  *) echo "usage: tools/format.sh [--fix]" >&2; exit 2 ;;
esac

mapfile -t files < <(git ls-files -- '*.cc' '*.h' | while read -r file; do
  if [[ -f $file ]]; then echo "$file"; fi
done)
if ! printf '%s\0' "${files[@]}" | xargs -0 -P "$(nproc)" -n 20 clang-format-19 "${mode[@]}"; then
  echo "format.sh: some files are not formatted; tools/format.sh --fix does it" >&2
  exit 1
fi
echo "format.sh: ${#files[@]} files are formatted"
