#!/bin/bash
# The manual pages and the lists of options and metrics, written by the programs themselves:
# generate.sh [BUILD [ROOT]]. They are kept in the tree so that they can be read there;
# tests/setup/test_man.sh fails where they differ from what the programs say now.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
build=${1:-$root/build}
to=${2:-$root}
mkdir -p "$to/man" "$to/configs" "$to/docs"
for program in sluice sluice-capture sluice-broker sluice-sink sluice-trainer; do
    "$build/$program" --print-man >"$to/man/$program.1"
done
"$build/sluice" --print-markdown >"$to/configs/OPTIONS.md"
{
    cat "$root/man/metrics.md"
    for program in sluice-capture sluice-broker sluice-sink sluice-trainer; do
        "$build/$program" --print-metrics
        [ $program = sluice-trainer ] || echo
    done
} >"$to/docs/METRICS.md"
