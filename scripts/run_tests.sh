#!/bin/bash
# Runs test programs one after another and counts the cases in what they print: run_tests.sh TEST...
# TEST:CASES runs those cases alone, where the program takes a pattern.
# A test is a cmocka program, or a script that prints `ok NAME` and `not ok NAME`. One that dies,
# runs longer than TEST_SECONDS, or runs no case at all has failed. The whole output of a test is
# kept beside the programs, and shown where the test failed. The last line is
# 'N passed, N failed' (', N skipped').
set -u
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build}
export BUILD CMOCKA_MESSAGE_OUTPUT=STDOUT
limit_seconds=${TEST_SECONDS:-900}
logs=$BUILD/test-logs
mkdir -p "$logs"
passed=0 failed=0 skipped=0

# ThreadSanitizer of gcc 12 cannot live with the address randomization of newer kernels.
launcher=()
case $BUILD in
*tsan*) setarch -R true 2>/dev/null && launcher=(setarch -R) ;;
esac

count() { grep -a -c -E "$1" "$2"; }

run_one() {
    local test=${1%%:*} cases='' name log status begun ran ok skips bad
    [ "$test" = "$1" ] || cases=${1#*:}
    name=${test#"$BUILD"/tests/}
    log=$logs/${name//\//-}.log
    begun=$SECONDS
    timeout --kill-after=10 "$limit_seconds" "${launcher[@]}" "$test" ${cases:+"$cases"} >"$log" 2>&1 \
        </dev/null
    status=$?
    ran=$(count '\[ RUN      \] |^(not )?ok ' "$log")
    ok=$(count '\[       OK \] |^ok ' "$log")
    # cmocka names a skipped test twice: as it happens, and in its summary.
    skips=$(grep -a -o -E '\[  SKIPPED \] [A-Za-z_][A-Za-z_0-9]*$' "$log" | sort -u | wc -l)
    bad=$((ran - ok - skips))
    # A group's set-up or the program itself may fail when every case is well.
    if [ "$bad" -le 0 ] && { [ $status -ne 0 ] || [ "$ran" -eq 0 ]; }; then bad=1; fi
    passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skips))
    printf '%-4s %-44s %4d cases %5d s\n' "$([ "$bad" -eq 0 ] && echo ok || echo FAIL)" \
        "$name" "$ran" $((SECONDS - begun))
    if [ "$bad" -ne 0 ]; then
        [ $status -ne 124 ] || echo "it was stopped after $limit_seconds s"
        [ "$ran" -ne 0 ] || echo "it ran no case (exit $status)"
        tail -n 60 "$log" | sed 's/^/    /'
        echo "    (all of it: $log; exit $status)"
    fi
}

for test; do run_one "$test"; done
echo "$passed passed, $failed failed$([ $skipped -eq 0 ] || echo ", $skipped skipped")"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
