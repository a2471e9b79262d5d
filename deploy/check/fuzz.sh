#!/bin/sh
# Runs every fuzz test for a bounded number of inputs, beyond the seeds that
# every test run tries. What one finds is written to its testdata, to be kept.
set -eu

inputs=${1:-5000}
go=${GO:-go}

grep -rn --include='*_test.go' --exclude-dir=node_modules '^func Fuzz' . | sed 's|^\./||' | while IFS=: read -r file _ line; do
  name=${line#func }
  name=${name%%(*}
  echo "$(dirname "$file") $name"
  # A count, not a time: with a time the runner may end in the midst of an
  # input and call that a failure.
  "$go" test "./$(dirname "$file")" -run '^$' -fuzz "^$name\$" -fuzztime "${inputs}x" -fuzzminimizetime 5x
done
