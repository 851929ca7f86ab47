#!/usr/bin/env bash
# Synthesizes the template without the CDK CLI: scripts/synth.sh <folder to write> <folder of built functions> [<value of context vpc>]
set -euo pipefail
out=$1 functions=$2 vpc=${3:-null}
mkdir -p "$out"
# Assets are named by their content. Those of earlier syntheses go after a day, not now: a local stack may run them.
find "$out" -maxdepth 1 -name 'asset.*' -mmin +1440 -exec rm -rf {} +
export CDK_OUTDIR=$out CDK_CONTEXT_JSON="{\"functions\":\"$functions\",\"vpc\":$vpc}"
# Where it succeeds, what jsii has to say about Node and its own exit is of no interest.
log=$(mktemp)
trap 'rm -f "$log"' EXIT
build/infra 2>"$log" || { cat "$log" >&2; echo "synth: build/infra failed, see above" >&2; exit 1; }
echo "$out/Mayfly.template.json"
