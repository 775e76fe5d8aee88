#!/usr/bin/env bash
# Runs the package's unit tests and the compiler's checks, from runfiles or from the repository's root.
set -euo pipefail
modules=$(tools/node_modules.sh sdk/node)/node_modules
# Real files: what Node imports is looked for beside them.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/proto/sallyport"
cp -rL sdk/node/{src,test,index.d.ts,package.json,tsconfig.json} "$work"
cp -rL proto/sallyport/v1 "$work/proto/sallyport"
mkdir "$work/examples"
cp -L examples/node/*.mjs "$work/examples"
ln -s "$modules" "$work/node_modules"
cd "$work"
node --test --test-timeout=60000 test/*_test.js
node node_modules/typescript/bin/tsc -p .
