#!/bin/bash
# The stream bench leaves no process behind when it is killed.
# shellcheck source=tests/setup/check.sh
. "$(dirname "$0")/check.sh"
build=${BUILD:-build}

children() { ps -o pid= --ppid "$1" | xargs; }

left() { ps -o pid=,args= -p "$1"; }

# Killed with broker, sink and producer at work; a child may take a moment to be gone.
dies_with_its_children() {
    local bench all folder
    "$build/tests/bench/bench_stream" "$build" 4 >/dev/null 2>&1 &
    bench=$!
    until all=$(children $bench) && [ "$(wc -w <<<"$all")" -ge 3 ]; do
        kill -0 $bench || return 1
        sleep 0.05
    done
    folder=$(left "$all" | grep -o -m 1 '/tmp/sluice-bench-......')
    kill -KILL $bench
    for _ in $(seq 100); do
        left "$all" >/dev/null || break
        sleep 0.1
    done
    rm -rf "${folder:?}"
    # shellcheck disable=SC2086
    ! left "$all" || ! kill -KILL $all
}

check "a killed bench takes its children along" dies_with_its_children
finish
