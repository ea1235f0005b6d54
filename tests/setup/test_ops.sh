#!/bin/bash
# configs/ops/: Prometheus takes the rules and the scrape configuration; each alert has cases that fire and cases that
# do not, and none of its conditions is there in vain; rules and dashboard name metrics that there are.
# shellcheck source=tests/setup/check.sh
. "$(dirname "$0")/check.sh"
rules=configs/ops/alerts.yaml dashboard=configs/ops/grafana.json
PATH=$(scripts/prometheus.sh):$PATH || exit 1

rules_are_taken() { promtool check rules "$rules"; }

# The scrape configuration names the rules where README.md has them put.
scrapes_are_taken() {
    cp "$rules" "$work/sluice-alerts.yaml"
    sed "s|/etc/prometheus/|$work/|" configs/ops/prometheus.yaml >"$work/prometheus.yaml"
    promtool check config "$work/prometheus.yaml"
}

alerts_of() { sed -n 's/^ *- alert: //p' "$1"; }

# Each has what people and Alertmanager need, and a chapter where there are chapters.
alerts_are_whole() {
    awk '
        function judge() { if (name && seen != 63) { print name " lacks a part (" seen ")"; wrong = 1 } }
        /- alert:/ { judge(); name = $3; seen = 0 }
        /^        for: / { seen += 1 }
        /^          severity: (critical|warning|none)$/ { seen += 2 }
        /^          summary: / { seen += 4 }
        /^          description: / { seen += 8 }
        /^          runbook: / { seen += 16; if ($2 == "docs/operations.md#" tolower(name)) seen += 32 }
        END { judge(); exit wrong }' "$1" || return 1
    [ -e docs/operations.md ] || return 0
    local name
    for name in $(alerts_of "$1"); do
        grep -qE "^#+ \`?$name\`?\$" docs/operations.md || { echo "docs/operations.md has no $name"; return 1; }
    done
}

# cases_hold RULES FILE...: the cases of these files over the rules, in a folder of their own.
cases_hold() {
    local place
    place=$(mktemp -d "$work/cases.XXXXXX")
    cp "$@" "$place"
    (cd "$place" && shift && promtool test rules "${@##*/}")
}

every_alert_has_cases() {
    local name
    for name in $(alerts_of "$1"); do
        [ -e "tests/ops/$name.yaml" ] || { echo "tests/ops/ has no $name.yaml"; return 1; }
    done
}

# Rules with one condition taken out, and rules that fire never or always: a case must fail.
nothing_is_in_vain() {
    local number name what
    python3 tests/ops/mutants.py "$1" "$work/mutants" >"$work/mutants.list" || return 1
    promtool check rules "$work"/mutants/*/alerts.yaml >"$work/mutants.log" 2>&1 ||
        { grep -A3 FAILED "$work/mutants.log"; return 1; }
    while read -r number name what; do
        cases_hold "$work/mutants/$number/alerts.yaml" "tests/ops/$name.yaml" >"$work/mutants.log" 2>&1 || continue
        echo "all cases of $name hold, and it is $what"
        return 1
    done <"$work/mutants.list"
}

# metrics_exist FILE: each name in it is one of docs/METRICS.md, as its type is shown.
metrics_exist() {
    local name names
    names=$(grep -oE 'sluice_[a-z0-9_]+' "$1" | sort -u)
    [ -n "$names" ] || { echo "no metric in $1"; return 1; }
    for name in $names; do
        grep -qF "| \`$name\` |" docs/METRICS.md && continue
        grep -qF "| \`${name%_*}\` | histogram |" docs/METRICS.md && [[ $name =~ _(bucket|sum|count)$ ]] && continue
        echo "$1 names $name, which no process declares (docs/METRICS.md)"
        return 1
    done
}

dashboard_is_whole() { python3 tests/ops/dashboard.py "$1" "$work/queries.yaml"; }

queries_are_taken() { promtool check rules "$work/queries.yaml"; }

check "Prometheus takes the rules" rules_are_taken
check "Prometheus takes the scrape configuration" scrapes_are_taken
check "each alert is whole" alerts_are_whole $rules
check "each alert has cases" every_alert_has_cases $rules
check "the cases hold" cases_hold $rules tests/ops/*.yaml
check "no part of a rule is there in vain" nothing_is_in_vain $rules
check "rules name metrics that there are" metrics_exist $rules
check "the dashboard names metrics that there are" metrics_exist $dashboard
check "the dashboard is whole" dashboard_is_whole $dashboard
check "Prometheus takes the dashboard's queries" queries_are_taken

# The checks themselves must be able to fail.
sed 's/sluice_shed_rows_total/sluice_shed_rows_totals/' $rules >"$work/renamed.yaml"
check "a metric that is not there is seen" fails_saying "names sluice_shed_rows_totals" \
    metrics_exist "$work/renamed.yaml"
sed 's/alert: SluiceRowsShed/alert: SluiceRowsGone/' $rules >"$work/uncased.yaml"
check "an alert without cases is seen" fails_saying "no SluiceRowsGone.yaml" \
    every_alert_has_cases "$work/uncased.yaml"
check "an alert without its chapter is seen" fails_saying "SluiceRowsGone lacks a part" \
    alerts_are_whole "$work/uncased.yaml"
sed '0,/"unit": "[^"]*"/s//"unit": ""/' $dashboard >"$work/unitless.json"
check "a panel without a unit is seen" fails_saying "has no unit" dashboard_is_whole "$work/unitless.json"
sed 's/deriv(sluice_trainer_rows_total/rate(sluice_trainer_rows_total/' $dashboard >"$work/leaps.json"
check "a panel that leaps when a trainer is killed is seen" fails_saying "leaps" dashboard_is_whole "$work/leaps.json"
finish
