#!/usr/bin/env bash
# Runs every fuzz test of the repository for a while: scripts/fuzz.sh <duration each>
set -euo pipefail
found=0
while IFS=: read -r file name; do
	found=$((found + 1))
	go test -run '^$' -fuzz "^$name\$" -fuzztime "$1" "./$(dirname "$file")"
done < <(git grep -oE '^func Fuzz\w+' -- '*_test.go' | sed 's/func //')
echo "fuzz: $found fuzz test(s), $1 each"
