#!/bin/bash
# Runs each fuzzer for some seconds: run_fuzzers.sh SECONDS FUZZER...
# Inputs that tests/fuzz/seeds/NAME holds are where fuzz_NAME begins; what it finds stays in the
# build folder, and so does an input that breaks it.
set -u
cd "$(dirname "$0")/.." || exit 1
seconds=$1
shift
passed=0 failed=0
for fuzzer; do
    name=${fuzzer##*/fuzz_}
    found=${fuzzer%/*}/corpus/$name
    mkdir -p "$found"
    folders=("$found")
    [ ! -d "tests/fuzz/seeds/$name" ] || folders+=("tests/fuzz/seeds/$name")
    if "$fuzzer" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="${fuzzer%/*}/$name-" "${folders[@]}" >"$fuzzer.log" 2>&1; then
        passed=$((passed + 1))
        echo "ok   $name: $(grep -o 'number_of_executed_units: .*' "$fuzzer.log" | grep -o '[0-9]*$') inputs"
    else
        failed=$((failed + 1))
        echo "FAIL $name"
        tail -n 60 "$fuzzer.log" | sed 's/^/    /'
    fi
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
