#!/usr/bin/env bash
# Checks templates: scripts/cfn-lint.sh <template>...
#
# W3005 is off: it asks to leave out a DependsOn that a reference implies, and the CDK writes those.
set -euo pipefail
lint=$(command -v cfn-lint || echo tools/.venv/bin/cfn-lint)
if ! command -v "$lint" >/dev/null; then
	# Nothing else here depends on PyPI being within reach, so the rest goes on; but nobody shall think that this passed.
	echo "########################################################################" >&2
	echo "## NOT CHECKED by cfn-lint: $*" >&2
	echo "## Install it with: pip install -r tools/requirements.txt" >&2
	echo "########################################################################" >&2
	exit 0
fi
"$lint" --ignore-checks W3005 -- "$@"
echo "cfn-lint: $# template(s) clean"
