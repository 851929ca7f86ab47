#!/usr/bin/env bash
# Checks state machines with asl-validator, which finds what cfn-lint does not, such as states that nothing reaches:
# scripts/lint-machines.sh <definition>...
#
# ${Name}, which the template fills in, becomes an ARN first, so that no check has to be left out for it.
set -euo pipefail
if [ $# -eq 0 ]; then
	echo "lint-machines: no definition given, so nothing was checked" >&2
	exit 1
fi
filled=$(mktemp -d)
trap 'rm -rf "$filled"' EXIT
for file in "$@"; do
	sed -E \
		-e 's/\$\{(\w*Machine)\}/arn:aws:states:us-east-1:000000000000:stateMachine:\1/g' \
		-e 's/\$\{(\w+)\}/arn:aws:lambda:us-east-1:000000000000:function:\1/g' \
		"$file" >"$filled/$(basename "$file")"
	tools/node_modules/.bin/asl-validator --json-path "$filled/$(basename "$file")"
done
echo "asl-validator: $# state machine(s) clean"
