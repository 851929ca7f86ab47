#!/usr/bin/env bash
# Runs every fuzz test of the repository for a while: scripts/fuzz.sh <duration each>
set -euo pipefail
tests=$(git grep -oE '^func Fuzz\w+' -- '*_test.go' | sed 's/func //')
while IFS=: read -r file name; do
	go test -run '^$' -fuzz "^$name\$" -fuzztime "$1" "./$(dirname "$file")" </dev/null
done <<<"$tests"
echo "fuzz: $(wc -l <<<"$tests") fuzz test(s), $1 each"
