# SPDX-License-Identifier: MIT
# What the check-* scripts share. They are run by make check, which tells them by the environment
# how the library was built; one of them alone: make check TESTS=tests/check-headers.
set -u

: "${TOP_SRCDIR:?run by make check}" "${TOP_BUILDDIR:?}" "${CC:?}"
scratch=$(mktemp -d "${TMPDIR:-/tmp}/rota-check.XXXXXX") || exit 99
trap 'rm -rf "$scratch"' EXIT

# Each prints one result, which script/test-driver counts.
ok() { echo "ok - $*"; }
not_ok() { echo "not ok - $*"; }
skip() { echo "skip - $*"; }

# try WHAT COMMAND...: ok when the command succeeds; otherwise not ok, after what it printed.
try() {
	try_what=$1
	shift
	if "$@" >"$scratch/output" 2>&1; then
		ok "$try_what"
	else
		echo "$* failed:"
		cat "$scratch/output"
		not_ok "$try_what"
	fi
}

# is_empty WHAT FILE: ok when nothing is in the file; what is in it should not be.
is_empty() {
	if [ -s "$2" ]; then
		sed 's/^/    /' "$2"
		not_ok "$1"
	else
		ok "$1"
	fi
}

# symbols [NM-OPTIONS] LIBRARY: the names that nm gives, sorted, without versions.
symbols() {
	${NM:-nm} "$@" | awk 'NF >= 2 && $NF !~ /:$/ { sub(/@.*/, "", $NF); print $NF }' | sort -u
}
