#!/usr/bin/env bash
# Checks templates: scripts/cfn-lint.sh <template>...
#
# W3005 is off: it asks to leave out a DependsOn that a reference implies, and the CDK writes those.
set -euo pipefail
lint=$(command -v cfn-lint || echo tools/.venv/bin/cfn-lint)
"$lint" --ignore-checks W3005 -- "$@"
echo "cfn-lint: $# template(s) clean"
