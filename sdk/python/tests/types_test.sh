#!/usr/bin/env bash
# The package's types hold, and those that the examples rely on.
set -euo pipefail
export MYPYPATH=sdk/python
# Each example is a program by itself.
for file in sdk/python/sallyport/__init__.py examples/*.py examples/*/*.py; do
  [[ -e $file ]] || continue
  flags=()
  [[ $file == sdk/* ]] && flags=(--strict)
  /usr/bin/mypy --config-file sdk/python/mypy.ini --cache-dir "$TEST_TMPDIR/mypy" "${flags[@]}" "$file"
done
