#!/bin/bash
# What a process declares as a metric it sets, and names that cross processes stand in proto/report.h alone.
# shellcheck source=tests/setup/check.sh
. "$(dirname "$0")/check.sh"

# ids_of FILE: the ids of the table of metrics in it.
ids_of() {
    sed -n -E 's/^ *M\(([A-Z0-9_]+), *(COUNTER|GAUGE|HISTOGRAM),.*/\1/p' "$1"
}

# all_are_set TABLE FILE...: each id of the table is written by a call in these files.
all_are_set() {
    local table=$1 id text ids
    shift
    ids=$(ids_of "$table")
    [ "$(wc -w <<<"$ids")" -eq "$(grep -cE '^ *M\(' "$table")" ] && [ -n "$ids" ] ||
        { echo "$table: an entry does not begin with M(ID, KIND, on one line"; return 1; }
    text=$(cat "$@" | tr '\n' ' ' | tr ';' '\n' | grep -E 'metrics_(set|add|observe)(_at)?\(')
    for id in $ids; do
        grep -qwE "GAUGE_$id" <<<"$text" && continue
        echo "$table declares $id, and nothing sets it"
        return 1
    done
}

# The three of ROOM_METRICS are set by one call.
room_is_shown() {
    grep -q 'ROOM_METRICS(M,' "$1/gauges.h" || return 0
    cat "$1"/*.c | tr '\n' ' ' | grep -qE 'room_show\([^;]*GAUGE_DISK_WAITING'
}

# Names that cross processes are not written out a second time.
no_name_is_copied() {
    local names
    names=$(sed -n -E 's/^ *M\([A-Z0-9_]+, "(sluice_[a-z0-9_]+)",.*/\1/p' proto/report.h)
    [ -n "$names" ] || { echo "no name in proto/report.h"; return 1; }
    ! grep -nwF "$names" "$1"/*.[ch] /dev/null
}

# Who reads reports has no name at all but by id.
readers_have_no_names() {
    ! grep -n '"sluice_' "$@" /dev/null
}

for room in capture broker sink trainer; do
    check "$room sets what it declares" all_are_set $room/gauges.h $room/*.c
    check "$room shows its disk" room_is_shown $room
done
check "every process sets what it declares" all_are_set runtime/vitals.c runtime/vitals.c
for room in capture broker sink trainer cli runtime; do
    check "$room copies no name that crosses processes" no_name_is_copied $room
done
check "readers have no names" readers_have_no_names broker/status.c cli/*.[ch]

# The check itself must be able to fail.
printf '#define X_METRICS(M) \\\n    M(ONE, GAUGE, "sluice_one", "none", "x.") \\\n    M(TWO, COUNTER, "sluice_two_total", "none", "y.") \\\n' >"$work/gauges.h"
printf 'metrics_set(m, GAUGE_ONE, 1);\nuse(GAUGE_TWO);\nmetrics_set_at(m,\n  GAUGE_TWOS, 2);\n' >"$work/one.c"
check "what is not set is seen" fails_saying "declares TWO, and nothing sets it" \
    all_are_set "$work/gauges.h" "$work/one.c"
echo 'metrics_add(m, a ? GAUGE_TWO : GAUGE_ONE, 1);' >>"$work/one.c"
check "and what is set is not" all_are_set "$work/gauges.h" "$work/one.c"
echo '"sluice_capture_tokens_total"' >"$work/one.h"
check "a copied name is seen" fails_saying sluice_capture_tokens_total no_name_is_copied "$work"
finish
