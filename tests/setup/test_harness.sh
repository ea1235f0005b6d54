#!/bin/bash
# An end-to-end test that is killed leaves no process behind.
# shellcheck source=tests/setup/check.sh
. "$(dirname "$0")/check.sh"
build=${BUILD:-build}

# Processes whose arguments name our folder, as each of a run has its configuration there.
of_the_run() { ps -e -o pid=,args= | grep -F "$work/sluice-e2e-" | grep -v grep; }
within() { # SECONDS COMMAND...
    local until=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $until ] || return 1
        sleep 0.05
    done
}
none_is_left() { ! of_the_run >/dev/null; }
all_run() { [ "$(of_the_run | grep -c -E '/sluice-(broker|sink|trainer|capture) ')" -ge 4 ]; }

dies_with_its_test() {
    local test
    TMPDIR=$work "$build/tests/e2e/test_storm" sluice_itself >/dev/null 2>&1 &
    test=$!
    within 60 all_run || { echo "no pipeline within 60 s"; kill -9 $test; return 1; }
    kill -9 $test
    within 30 none_is_left && return
    echo "left behind:"
    of_the_run
    of_the_run | awk '{ print $1 }' | xargs kill -9
    return 1
}
check a_killed_test_takes_its_processes_along dies_with_its_test
finish
