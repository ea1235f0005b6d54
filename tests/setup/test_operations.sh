#!/bin/bash
# docs/operations.md against what it is about: the alerts, the files of a run, the sizes that `sluice
# check` tells, the units, the links within it.
# shellcheck source=tests/setup/check.sh
. "$(dirname "$0")/check.sh"
build=${BUILD:-build}
page=docs/operations.md

# ---- alerts ----
# same_alerts RULES PAGE
same_alerts() {
    local declared told
    declared=$(sed -n 's/^ *- alert: *//p' "$1" | sort)
    told=$(sed -n 's/^### \(Sluice[A-Za-z]*\)$/\1/p' "$2" | sort)
    [ -n "$declared" ] || { echo "$1 has no alert"; return 1; }
    diff <(echo "$declared") <(echo "$told")
}
check each_alert_has_its_heading_and_no_other same_alerts configs/ops/alerts.yaml $page
an_alert_more() {
    { cat configs/ops/alerts.yaml; echo '      - alert: SluiceOther'; } >"$work/alerts.yaml"
    fails_saying SluiceOther same_alerts "$work/alerts.yaml" $page &&
        { cat $page; echo '### SluiceGone'; } >"$work/page.md" &&
        fails_saying SluiceGone same_alerts configs/ops/alerts.yaml "$work/page.md"
}
check one_more_on_either_side_is_found an_alert_more

# ---- files ----
# What config/made.c lists of the array $1, in the words of the page.
made() {
    sed -n "/^static const char \\*const $1\\[\\] = {/,/NULL,/s/^ *\"\\(.*\\)\",\$/\\1/p" config/made.c |
        sed -e 's/?\{16\}/STEP/' -e 's/?.*/*/' -e 's/#/N/g' -e 's/@/NAME/g' -e 's/\$/SAE/' -e '/^export\//s/.*/export\//' |
        grep -v '\.log\.old$'
}
# told_in PAGE ARRAY
told_in() {
    local name wrong=0 names=0
    while read -r name; do
        names=$((names + 1))
        grep -qF -- "\`$name\`" "$1" || { echo "$1 says nothing of $name"; wrong=1; }
    done < <(made "$2")
    [ $names -gt 10 ] && return $wrong
}
check files_of_a_run_are_told told_in $page files
check files_of_a_consumer_are_told told_in $page consumer_files
a_file_less() {
    grep -v 'descriptor.json' $page >"$work/page.md"
    fails_saying descriptor.json told_in "$work/page.md" files
}
check a_file_that_is_not_told_is_found a_file_less

# ---- sizes ----
tables_are_those_of_check() {
    local line
    scripts/capacity.sh "$build" >"$work/tables" || return 1
    while read -r line; do
        [ -z "$line" ] || grep -qxF -- "$line" "$1" || {
            echo "not in $1: $line"
            echo "HINT: scripts/capacity.sh writes both tables"
            return 1
        }
    done <"$work/tables"
    [ "$(grep -c '^| [0-9]' "$work/tables")" -eq 6 ]
}
check tables_of_capacity_are_what_check_says tables_are_those_of_check $page
another_number() {
    sed 's/^\(| 2,304 | \)[0-9,]*/\11/' $page >"$work/page.md"
    fails_saying "not in" tables_are_those_of_check "$work/page.md"
}
check another_number_is_found another_number

# ---- units, links ----
units_are_told() {
    local unit
    for unit in packaging/systemd/*.service.in; do
        unit=${unit##*/}
        grep -qF "\`${unit%.service.in}NAME\`" $page || { echo "nothing of $unit"; return 1; }
    done
}
check units_are_told units_are_told
links_lead_somewhere() {
    local link file anchor wrong=0
    while read -r link; do
        file=${link%%#*} anchor=
        case $link in *#*) anchor=${link#*#} ;; esac
        file=${file:+docs/$file}
        [ -e "${file:-$page}" ] || { echo "no $file"; wrong=1; continue; }
        [ -z "$anchor" ] && continue
        sed -n 's/^#\+ //p' "${file:-$page}" | tr 'A-Z ' 'a-z-' | tr -cd 'a-z0-9\n_-' | grep -qx -- "$anchor" ||
            { echo "no #$anchor in ${file:-$page}"; wrong=1; }
    done < <(grep -oE '\]\([^)]+\)' $page | tr -d '])(')
    return $wrong
}
check links_lead_somewhere links_lead_somewhere
metrics_exist() {
    local name
    while read -r name; do
        grep -qF "\`$name\`" docs/METRICS.md || { echo "docs/METRICS.md has no $name"; return 1; }
    done < <(grep -oE 'sluice_[a-z_]+' $page | sort -u)
}
check metrics_that_it_names_exist metrics_exist
# What it has people type exists.
options_exist() {
    local option
    for option in --capacity --width --json --only; do
        "$build/sluice" check --help | grep -q -- "$option" || { echo "check has no $option"; return 1; }
    done
}
check options_of_check_exist options_exist
finish
