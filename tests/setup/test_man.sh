#!/bin/bash
# The manual pages in man/, configs/OPTIONS.md and docs/METRICS.md are those that the programs write, and roff takes them without complaint.
# shellcheck source=tests/setup/check.sh
. "$(dirname "$0")/check.sh"
build=${BUILD:-build}

same_as_written() {
    man/generate.sh "$build" "$work" || return 1
    for page in "$work"/man/*.1 "$work"/configs/OPTIONS.md "$work"/docs/METRICS.md; do
        diff -u "${page#"$work"/}" "$page" && continue
        echo "HINT: make && man/generate.sh"
        return 1
    done
}

renders() {
    local complaints
    for page in man/*.1; do
        complaints=$(groff -man -Tutf8 -ww -z "$page" 2>&1)
        [ -z "$complaints" ] || { echo "$complaints"; return 1; }
    done
}

check "pages are what the programs write" same_as_written
if command -v groff >/dev/null; then
    check "roff takes the pages" renders
fi
finish
