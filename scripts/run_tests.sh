#!/bin/bash
# Runs test programs and counts the cases in what they print: run_tests.sh TEST...
# TEST:CASES runs those cases alone, where the program takes a pattern.
# TEST_JOBS programs run at once, in the order given (2 where there are as many processors), and
# after them, one by one, those that tests/alone.txt names. Each is told when it ends, in one piece.
# A test is a cmocka program, or a script that prints `ok NAME` and `not ok NAME`. One that dies,
# runs longer than TEST_SECONDS, or runs no case at all has failed. The whole output of a test is
# kept beside the programs, and shown where the test failed. The end names the ten slowest and those
# that failed; the last line is 'N passed, N failed' (', N skipped').
set -u
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build}
export BUILD CMOCKA_MESSAGE_OUTPUT=STDOUT
# A test that runs make is no part of the make that runs the tests.
unset MAKEFLAGS MFLAGS MAKELEVEL
limit_seconds=${TEST_SECONDS:-900}
jobs=${TEST_JOBS:-$(($(nproc) < 2 ? 1 : 2))}
alone_list=${TEST_ALONE:-tests/alone.txt}
logs=$BUILD/test-logs
mkdir -p "$logs"
passed=0 failed=0 skipped=0
failures=() seconds_of=()
# shellcheck source=scripts/jobs.sh
. scripts/jobs.sh

# ThreadSanitizer of gcc 12 cannot live with the address randomization of newer kernels.
launcher=()
case $BUILD in
*tsan*) setarch -R true 2>/dev/null && launcher=(setarch -R) ;;
esac

count() { grep -a -c -E "$1" "$2"; }

# begin TEST: it runs in the background, its output goes to its log, and its seconds (of the wall, of
# the processors for it and for the kernel on its behalf) beside it.
begin() {
    local test=${1%%:*} cases='' name log
    [ "$test" = "$1" ] || cases=${1#*:}
    name=${test#"$BUILD"/tests/}
    log=$logs/${name//\//-}.log
    (
        TIMEFORMAT='%R %U %S'
        trap 'kill "$child"; exit 143' TERM
        {
            time {
                timeout --kill-after=10 "$limit_seconds" "${launcher[@]}" "$test" \
                    ${cases:+"$cases"} </dev/null >"$log" 2>&1 &
                child=$!
                wait $child
                status=$?
            }
        } 2>"$log.seconds"
        exit $status
    ) &
    running[$!]=$name
}

# end NAME STATUS: counts a test that is over, and tells it.
end() {
    local name=$1 status=$2 log=$logs/${1//\//-}.log ran ok skips bad line wall=0 user=0 kernel=0
    ran=$(count '\[ RUN      \] |^(not )?ok ' "$log")
    ok=$(count '\[       OK \] |^ok ' "$log")
    # cmocka names a skipped test twice: as it happens, and in its summary.
    skips=$(grep -a -o -E '\[  SKIPPED \] [A-Za-z_][A-Za-z_0-9]*$' "$log" | sort -u | wc -l)
    bad=$((ran - ok - skips))
    # A group's set-up or the program itself may fail when every case is well.
    if [ "$bad" -le 0 ] && { [ "$status" -ne 0 ] || [ "$ran" -eq 0 ]; }; then bad=1; fi
    passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skips))
    read -r wall user kernel < <(tail -n 1 "$log.seconds")
    line=$(awk -v name="$name" -v ran="$ran" -v wall="$wall" -v user="$user" -v kernel="$kernel" \
        'BEGIN { printf "%-36s %4d cases %7.1f s %7.1f s of processor", name, ran, wall, user + kernel }')
    seconds_of+=("$wall $line")
    printf '%-4s %s\n' "$([ "$bad" -eq 0 ] && echo ok || echo FAIL)" "$line"
    [ "$bad" -ne 0 ] || return 0
    failures+=("$name")
    [ "$status" -ne 124 ] || echo "it was stopped after $limit_seconds s"
    [ "$ran" -ne 0 ] || echo "it ran no case (exit $status)"
    tail -n 60 "$log" | sed 's/^/    /'
    echo "    (all of it: $log; exit $status)"
}

alone=()
for test; do
    name=${test%%:*}
    name=${name#"$BUILD"/tests/}
    if grep -qs -e "^$name:" -e "^$BUILD/$name:" "$alone_list"; then
        alone+=("$test")
        continue
    fi
    until_fewer_than "$jobs"
    begin "$test"
done
for test in "${alone[@]}"; do
    until_fewer_than 1
    begin "$test"
done
until_fewer_than 1

if [ $# -gt 10 ]; then
    echo "the slowest:"
    printf '%s\n' "${seconds_of[@]}" | sort -rn | head -n 10 | sed 's/^[^ ]* /     /'
fi
[ ${#failures[@]} -eq 0 ] || echo "failed: ${failures[*]}"
echo "$passed passed, $failed failed$([ $skipped -eq 0 ] || echo ", $skipped skipped")"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
