#!/bin/bash
# Runs test programs built with ThreadSanitizer: run_tsan.sh TEST... (as run_tests.sh takes them).
# A report of any process fails the run, also of one that was killed or started again afterwards:
# reports are files, in the folder tsan-reports of the build.
set -u
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build-tsan}
export BUILD
reports=$PWD/$BUILD/tsan-reports
rm -rf "$reports"
mkdir -p "$reports"

others=$(grep -vE '^(#.*|called_from_lib:lib(zmq|ggml-cpu|ggml-base)\.so(\.[0-9]+)?|)$' scripts/tsan.supp)
if [ -n "$others" ]; then
    echo "run_tsan: scripts/tsan.supp has lines that name no foreign library: $others; HINT: mend the race"
    exit 1
fi

export TSAN_OPTIONS="suppressions=$PWD/scripts/tsan.supp:log_path=$reports/report:${TSAN_OPTIONS:-}"
scripts/run_tests.sh "$@"
status=$?
if [ -n "$(ls -A "$reports")" ]; then
    echo "run_tsan: ThreadSanitizer reported (all of it: $reports):"
    grep -h '^SUMMARY' "$reports"/* | sort | uniq -c
    head -n 60 "$(find "$reports" -type f | head -n 1)"
    exit 1
fi
exit $status
