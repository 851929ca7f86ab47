#!/usr/bin/env bash
# Sees to what Mayfly's build, tests and local stack need beyond Go: Node 20, PostgreSQL's server programs, libfaketime,
# cfn-lint and the npm tools pinned in tools/. As root on Debian or Ubuntu it installs what is missing; elsewhere it says
# what to install. With everything there it takes no time.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()     # Debian packages to install
hints=()       # the same for people
need() { # need <what it is for> <Debian package>
	missing+=("$2")
	hints+=("  $2 ($1)")
}

have_server() { command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; }
have_faketime() {
	compgen -G '/usr/lib/*/faketime/libfaketime.so.1' >/dev/null || compgen -G '/usr/lib/faketime/libfaketime.so.1' >/dev/null ||
		compgen -G '/opt/homebrew/lib/faketime/libfaketime*' >/dev/null
}
node_major() { node --version 2>/dev/null | sed -E 's/^v([0-9]+).*/\1/'; }
have_cfn_lint() { command -v cfn-lint >/dev/null || [ -x tools/.venv/bin/cfn-lint ]; }

have_server || need "a PostgreSQL server for the demo and the tests: initdb, pg_ctl, postgres" postgresql
have_faketime || need "lets that server's clock follow the local stack's" libfaketime
command -v git >/dev/null || need "says which commit the contracts are of" git
have_cfn_lint || python3 -c 'import ensurepip' 2>/dev/null || need "runs cfn-lint" python3-venv

if [ ${#missing[@]} -gt 0 ]; then
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
		echo "setup: installing ${missing[*]}"
		export DEBIAN_FRONTEND=noninteractive
		apt-get update -qq
		# The server programs are enough: a cluster of Debian's own would start and take a port.
		mkdir -p /etc/postgresql-common
		[ -e /etc/postgresql-common/createcluster.conf ] || echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
		apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
	else
		echo "setup: these Debian packages (or what your system calls them) are missing; install them and run make again:" >&2
		printf '%s\n' "${hints[@]}" >&2
		exit 1
	fi
fi

major=$(node_major)
if [ -z "$major" ] || [ "$major" -lt 20 ]; then
	echo "setup: Node 20 or newer is needed (the CDK runs on it), found ${major:-none}: https://nodejs.org/en/download" >&2
	exit 1
fi

# npm writes its hidden lock file last, so it is there and new only after a complete installation.
if [ ! tools/node_modules/.package-lock.json -nt tools/package-lock.json ]; then
	echo "setup: npm ci in tools/"
	npm ci --prefix tools --no-fund --no-audit --loglevel=error
	touch tools/node_modules/.package-lock.json
fi

if ! have_cfn_lint; then
	echo "setup: cfn-lint into tools/.venv"
	python3 -m venv tools/.venv
	tools/.venv/bin/pip install --quiet --disable-pip-version-check --retries 0 -r tools/requirements.txt || {
		rm -rf tools/.venv # so that the next run tries again
		echo "setup: cfn-lint could not be installed (see above): the template will not be checked by it" >&2
	}
fi
