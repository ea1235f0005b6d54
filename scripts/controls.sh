#!/bin/bash
# Negative controls: takes one protection after another out of a copy of the sources, and sees that
# the test which is there for it fails. controls.sh [NAME...]: those of tests/controls/ alone.
# A control is a sed script, tests/controls/NAME.sed, whose first lines name its file and its test:
#     # file: sink/sessions.c
#     # test: sink/test_sessions epochs
# It prints `ok NAME: CASE failed as it must`, or `not ok NAME: why`. A script that changes nothing,
# a copy that does not build and a test that is well only by luck are errors, too.
set -u
cd "$(dirname "$0")/.." || exit 1
build=${BUILD:-build} limit_seconds=${TEST_SECONDS:-240}
work=$PWD/$build/controls
logs=$work/logs
make=(make -s --no-print-directory -C "$work/src" BUILD=build OPT=-O1 'WARN=-w')
passed=0 failed=0

# field NAME KEY: what its `# KEY:` says.
field() { sed -n "s/^# $2: *//p" "tests/controls/$1.sed" | head -n 1; }

well() { passed=$((passed + 1)); echo "ok $1: $2"; }
wrong() {
    failed=$((failed + 1))
    echo "not ok $1: $2"
    [ $# -lt 3 ] || tail -n 15 "$3" | sed 's/^/    /'
}

# build_and_run TEST LOG: 0 where all is well, 1 where a case failed, 2 where it does not build, 124
# where it was stopped.
build_and_run() {
    local program=build/tests/$1
    "${make[@]}" "$program" >"$2" 2>&1 || return 2
    (cd "$work/src" && CMOCKA_MESSAGE_OUTPUT=STDOUT timeout --kill-after=5 "$limit_seconds" \
        "$program" >"$2" 2>&1 </dev/null)
    case $? in
    0) return 0 ;;
    124 | 137) return 124 ;;
    *) return 1 ;;
    esac
}

# The cases that began and did not end well.
failed_cases() {
    comm -23 <(sed -n 's/^\[ RUN      \] //p' "$1" | sort -u) \
        <(sed -n 's/^\[       OK \] //p' "$1" | sort -u) | paste -sd' '
}

control() {
    local name=$1 file test case log=$logs/$1.log cases
    file=$(field "$name" file)
    read -r test case < <(field "$name" test)
    if [ ! -f "$file" ] || [ -z "${case:-}" ]; then
        wrong "$name" "tests/controls/$name.sed names no file and test that are there"
        return
    fi
    if ! grep -qx "$test" "$logs/well"; then
        if ! build_and_run "$test" "$log"; then
            wrong "$name" "$test fails with the protection in place" "$log"
            return
        fi
        echo "$test" >>"$logs/well"
    fi
    if ! sed -E -f "tests/controls/$name.sed" "$file" >"$work/src/$file" ||
        cmp -s "$file" "$work/src/$file"; then
        wrong "$name" "it changes nothing in $file any more; HINT: mend tests/controls/$name.sed"
        return
    fi
    build_and_run "$test" "$log"
    case $? in
    0) wrong "$name" "$test is well without the protection" ;;
    2) wrong "$name" "it does not build without the protection" "$log" ;;
    124) wrong "$name" "$test was stopped after $limit_seconds s" "$log" ;;
    *)
        cases=$(failed_cases "$log")
        if grep -qw -- "$case" <<<"$cases"; then
            well "$name" "$case failed as it must"
        else
            wrong "$name" "$case did not fail, others did: $cases" "$log"
        fi
        ;;
    esac
    cp "$file" "$work/src/$file"
}

if [ $# -eq 0 ]; then
    mapfile -t all < <(basename -s .sed tests/controls/*.sed)
    set -- "${all[@]}"
fi
for name; do
    [ -f "tests/controls/$name.sed" ] && continue
    echo "controls: there is no tests/controls/$name.sed"
    exit 2
done
mkdir -p "$work/src" "$logs"
# The copy stays, so that what was built once is built. What is another there is copied anew.
git ls-files -co --exclude-standard | while read -r file; do
    [ ! -f "$file" ] || cmp -s "$file" "$work/src/$file" || cp --parents "$file" "$work/src"
done
(cd "$work/src" && find . -path ./build -prune -o -type f -print) | while read -r file; do
    [ -f "$file" ] || rm "$work/src/$file"
done
: >"$logs/well"
for name; do control "$name"; done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
