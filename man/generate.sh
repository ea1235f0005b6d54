#!/bin/bash
# The manual pages, written by the programs themselves: generate.sh [BUILD [FOLDER]]. They are kept in
# the tree so that they can be read there; tests/setup/test_man.sh fails where they differ from what
# the programs say now.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
build=${1:-$root/build}
folder=${2:-$root/man}
for program in sluice sluice-capture sluice-broker sluice-sink sluice-trainer; do
    "$build/$program" --print-man >"$folder/$program.1"
done
