#!/bin/bash
# Runs each fuzzer for some seconds: run_fuzzers.sh SECONDS FUZZER...
# FUZZ_JOBS of them run at once (one per processor). Inputs that tests/fuzz/seeds/NAME holds are where
# fuzz_NAME begins; what it finds stays in the build folder, and so does an input that breaks it.
set -u
cd "$(dirname "$0")/.." || exit 1
seconds=$1
shift
jobs=${FUZZ_JOBS:-$(nproc)}
passed=0 failed=0
# shellcheck source=scripts/jobs.sh
. scripts/jobs.sh

begin() {
    local fuzzer=$1 name=${1##*/fuzz_} found folders
    found=${fuzzer%/*}/corpus/$name
    mkdir -p "$found"
    folders=("$found")
    [ ! -d "tests/fuzz/seeds/$name" ] || folders+=("tests/fuzz/seeds/$name")
    "$fuzzer" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="${fuzzer%/*}/$name-" "${folders[@]}" >"$fuzzer.log" 2>&1 </dev/null &
    running[$!]=$fuzzer
}

# end FUZZER STATUS
end() {
    local name=${1##*/fuzz_}
    if [ "$2" -eq 0 ]; then
        passed=$((passed + 1))
        echo "ok   $name: $(grep -o 'number_of_executed_units: .*' "$1.log" | grep -o '[0-9]*$') inputs"
    else
        failed=$((failed + 1))
        echo "FAIL $name"
        tail -n 60 "$1.log" | sed 's/^/    /'
    fi
}

for fuzzer; do
    until_fewer_than "$jobs"
    begin "$fuzzer"
done
until_fewer_than 1
echo "$passed passed, $failed failed"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
