#!/bin/bash
# docs/SECURITY.md: each line of its tables that claims something names what holds it, and what is
# named is there: the file, and a test of that name which the file's main() runs.
# shellcheck source=tests/setup/check.sh
. "$(dirname "$0")/check.sh"
page=docs/SECURITY.md

named() { grep -oE '`(unit|e2e|setup|fuzz)/[a-z0-9_/]+\.(c|sh)(:[a-z0-9_]+)?`' "$page" | tr -d '`' | sort -u; }

all_are_there() {
    local name file test missing=0
    [ "$(named | wc -l)" -gt 40 ] || { echo "few tests are named"; return 1; }
    while read -r name; do
        file=tests/${name%%:*} test=${name#*:}
        if [ ! -f "$file" ]; then
            echo "$page: there is no $file"
            missing=1
        elif [ "$test" != "$name" ] && [ "$(grep -cE "\b$test\b" "$file")" -lt 2 ]; then
            echo "$page: $file runs no test $test"
            missing=1
        fi
    done < <(named)
    return $missing
}

# In a table whose head says "held by", the last cell of each line names a test.
all_are_held() {
    awk -F'|' '
        /^\|/ && /held by \|$/ { held = 1; next }
        !/^\|/ { held = 0 }
        held && !/^\|---/ && $(NF - 1) !~ /`(unit|e2e|setup|fuzz)\// { print FILENAME ":" FNR ": " $2; bad = 1 }
        END { exit bad }' "$page"
}

check "tests of SECURITY.md are there" all_are_there
check "lines of SECURITY.md are held" all_are_held
finish
