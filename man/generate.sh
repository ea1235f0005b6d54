#!/bin/bash
# The manual pages and the lists of options and metrics, written by the programs themselves:
# generate.sh [BUILD [ROOT]]. They are kept in the tree so that they can be read there;
# tests/setup/test_man.sh fails where they differ from what the programs say now.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
build=${1:-$root/build}
to=${2:-$root}
mkdir -p "$to/man" "$to/configs" "$to/docs"
programs=$("$root/scripts/layers.sh" programs)
for program in sluice $programs; do
    "$build/$program" --print-man >"$to/man/$program.1"
done
"$build/sluice" --print-markdown >"$to/configs/OPTIONS.md"
{
    cat "$root/man/metrics.md"
    for program in $programs; do
        [ "$program" = "${programs%% *}" ] || echo
        "$build/$program" --print-metrics
    done
} >"$to/docs/METRICS.md"
