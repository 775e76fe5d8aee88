#!/usr/bin/env bash
# The package's types hold, and those that the examples rely on.
set -euo pipefail
export MYPYPATH=sdk/python
check() { /usr/bin/mypy --config-file sdk/python/mypy.ini --cache-dir "$TEST_TMPDIR/mypy" "$@"; }
check --strict sdk/python/sallyport
# Each example is a program by itself.
for file in examples/*.py; do check "$file"; done
for folder in examples/*/; do
  files=()
  for file in "$folder"*.py; do [[ ! -e $file || $file == *_test.py ]] || files+=("$file"); done
  ((${#files[@]} == 0)) || MYPYPATH=sdk/python:$folder check "${files[@]}"
done
