#!/bin/bash
# The list of processes (wiring/processes.c), the programs that are built, installed and described,
# and the files of a run that are named after them, agree.
# shellcheck source=tests/setup/check.sh
. "$(dirname "$0")/check.sh"
listed=$(grep -o '"sluice-[a-z]*"' wiring/processes.c | tr -d '"' | sort)
sections=${listed//sluice-/}

same() { # same WHAT NAMES: of the programs, sluice itself left out
    local names
    names=$(tr ' ' '\n' <<<"$2" | sed -E 's#.*/##; /^(sluice)?$/d' | sort)
    [ -n "$listed" ] && [ "$names" = "$listed" ] && return
    echo "$1: $(echo $names); wiring/processes.c: $(echo $listed)"
    return 1
}

built() { make -s --eval 'print-binaries: ; @echo $(BINARIES)' print-binaries; }
pages() { for page in man/*.1; do basename "$page" .1; done; }
# Whoever writes the programs' names out must write all of them.
in_words() { same "$1" "$(grep -oP '(?<!lib)sluice-[a-z]*' "$1" | sort -u | tr '\n' ' ')"; }
folders() { for s in $sections; do [ -f "$s/main.c" ] || { echo "no $s/main.c"; return 1; }; done; }
# log/X.log and http/X of each, in the list of what a run makes.
files_of_runs() {
    local s
    for s in $sections; do
        grep -qE "\"log/$s(-[#@])?\.log\"" config/made.c || { echo "no log of $s"; return 1; }
        grep -qE "\"log/$s(-[#@])?\.log\.old\"" config/made.c || { echo "no old log of $s"; return 1; }
        grep -qE "\"http/$s(-[#@])?\"" config/made.c || { echo "no address of $s"; return 1; }
    done
}

check "programs that are built" same Makefile "$(built)"
check "pages of the manual" same man "$(pages)"
for file in scripts/install.sh man/generate.sh; do
    ! grep -qP '(?<!lib)sluice-[a-z]' "$file" || check "names in $file" in_words "$file"
done
check "each has a folder" folders
check "files of runs" files_of_runs
finish
