#!/bin/bash
# check.sh TEST [CASES]: builds and runs one test, ROOM/test_X, e2e/test_X, hosts/test_X or setup/test_X; CASES is a
# pattern for those tests that take one.
set -u
cd "$(dirname "$0")/.." || exit 1
build=${BUILD:-build} test=${1%.sh} cases=${2:-}

there_are() {
    { ls tests/unit/*/test_*.c tests/e2e/test_*.c tests/hosts/test_*.c; ls tests/setup/test_*.sh; } |
        sed -E 's#^tests/(unit/)?##; s#\.(c|sh)$##'
}
if ! there_are | grep -qxF -- "$test"; then
    echo "check: there is no test '$test'; say T=ONE of:" >&2
    there_are | grep -F -- "$(basename "$test")" >&2 || there_are | paste -sd' ' | fold -sw 100 >&2
    exit 2
fi
case $test in
setup/*) ${MAKE:-make} -s all && BUILD=$build exec bash "tests/$test.sh" ;;
hosts/*)
    ${MAKE:-make} -s "$build/tests/$test" && exec scripts/hosts.sh "$build/tests/$test" ${cases:+"$cases"}
    ;;
*) ${MAKE:-make} -s "$build/tests/$test" && exec "$build/tests/$test" ${cases:+"$cases"} ;;
esac
