# shellcheck shell=bash
# For the tests of the scripts. Sourced: it goes to the root of the tree and makes $work, a scratch
# folder. A test ends with `finish`.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
wrong=0

# check NAME COMMAND...: the case is well when the command succeeds.
check() {
    local name=$1
    shift
    if "$@" >"$work/output" 2>&1; then
        echo "ok $name"
    else
        echo "not ok $name"
        sed 's/^/# /' "$work/output"
        wrong=1
    fi
}

# fails_saying TEXT COMMAND...: the command must fail and say so.
fails_saying() {
    local text=$1 output
    shift
    if output=$("$@" 2>&1); then
        echo "it succeeded: $output"
        return 1
    fi
    grep -qF -- "$text" <<<"$output" || { echo "no '$text' in: $output"; return 1; }
}

# says TEXT COMMAND...: the command must succeed and say so.
says() {
    local text=$1 output
    shift
    output=$("$@" 2>&1) || { echo "it failed: $output"; return 1; }
    grep -qF -- "$text" <<<"$output" || { echo "no '$text' in: $output"; return 1; }
}

finish() { exit $wrong; }
