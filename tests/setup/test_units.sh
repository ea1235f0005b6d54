#!/bin/bash
# The units of packaging/systemd: systemd takes them, they are as hardened as they claim, and a real
# systemd, in namespaces of its own, runs pipelines with them.
# shellcheck source=tests/setup/check.sh
. "$(dirname "$0")/check.sh"
build=${BUILD:-build}
chmod 755 "$work"
packaging/systemd/units.sh /opt/sluice "$work/units"
units=("$work"/units/*.service)

five_units() { [ ${#units[@]} -eq 5 ] && ! grep -n '@[A-Z]*@' "${units[@]}"; }
check a_unit_for_a_pipeline_and_for_each_process five_units

# ---- hardening ----
# exposed UNIT TENTHS: whether systemd counts more exposure than that.
exposed() { ! systemd-analyze security --no-pager --offline=yes --threshold="$2" "$1" >/dev/null; }
hardened() {
    local unit
    for unit in "${units[@]}"; do
        systemd-analyze security --no-pager --offline=yes --threshold=20 "$unit" >"$work/told" ||
            { grep -E '✗|→' "$work/told"; return 1; }
    done
}
check exposure_is_two_at_most hardened

# Every line that systemd scores counts: without it the sum of what it scores is larger.
score() {
    systemd-analyze security --no-pager --offline=yes --json=short "$1" |
        python3 -c 'import json, sys; print(round(sum(float(x["exposure"] or 0) for x in json.load(sys.stdin)), 3))'
}
scored='^(User|UMask|NoNewPrivileges|CapabilityBoundingSet|ProtectSystem|ProtectHome|PrivateTmp|PrivateDevices|ProtectKernel[A-Za-z]*|ProtectControlGroups|ProtectClock|ProtectHostname|ProtectProc|Restrict[A-Za-z]*|LockPersonality|MemoryDenyWriteExecute|SystemCallArchitectures)='
each_line_counts() {
    local unit=$work/units/sluice@.service less=$work/less@.service line all lines=0
    all=$(score "$unit")
    while read -r line; do
        lines=$((lines + 1))
        grep -vxF -- "$line" "$unit" >"$less"
        [ "$(python3 -c 'import sys; print(float(sys.argv[1]) > float(sys.argv[2]))' "$(score "$less")" "$all")" = True ] ||
            { echo "without $line the exposure is still $all"; return 1; }
    done < <(grep -E "$scored" packaging/systemd/hardening.conf)
    [ $lines -ge 20 ] || { echo "$lines lines"; return 1; }
}
check each_line_of_hardening_counts each_line_counts
a_line_less_fails() {
    grep -v '^CapabilityBoundingSet=' "$work/units/sluice@.service" >"$work/less@.service"
    exposed "$work/less@.service" 20
}
check a_unit_without_one_of_them_is_found a_line_less_fails

# ---- what is installed ----
scripts/install.sh install "$build" "$work/staged" /opt/sluice >/dev/null
mv "$work/staged/opt/sluice" "$work/opt"
installed() {
    local unit
    for unit in "${units[@]}"; do cmp "$unit" "$work/opt/lib/systemd/system/${unit##*/}" || return 1; done
    grep -x 'u sluice - "Sluice" /var/lib/sluice' "$work/opt/lib/sysusers.d/sluice.conf"
}
check they_are_installed installed
# With programs where the units say, systemd has nothing to say of them.
verified() {
    local said
    packaging/systemd/units.sh "$work/opt" "$work/here"
    said=$(systemd-analyze verify --man=no "$work"/here/*.service 2>&1)
    [ -z "$said" ] || { echo "$said"; return 1; }
}
check systemd_verifies_them verified

# ---- a real systemd ----
cp tests/setup/systemd/inside.sh "$work/"
if [ "$(id -u)" -eq 0 ]; then
    timeout --kill-after=10 240 tests/setup/systemd/boot.sh "$work"
    status=$?
else
    status=77
fi
# The lines of the units by hand, in what they set of the environment.
by_hand() {
    local line
    line=$(sed -n 's/^ExecStart=//p' "$work/here/sluice@.service" |
        sed -e "s|/etc/sluice/%i|$work/hand|" -e 's| \$SLUICE_UP||')
    printf '%s\n' 'stream: { name: hand }' \
        'capture: { engine: synthetic, synthetic: { features: 32, width: 16, rows: 4000 } }' \
        'sink: { size: 16MiB }' \
        'trainer: { batch_rows: 128, saes: [ { arch: count, name: rows } ] }' >"$work/hand.yaml"
    # shellcheck disable=SC2086
    env -i PATH="$PATH" XDG_STATE_HOME="$work/state" XDG_CACHE_HOME="$work/cache" $line
}
if [ $status -eq 77 ]; then
    echo "# this host lets no systemd be booted: by hand"
    check a_unit_s_command_runs by_hand
else
    grep -E '^(ok|not ok|#)' "$work/said"
    ! grep -q '^not ok' "$work/said" || wrong=1
    came_to_its_end() { [ $status -eq 0 ] && grep -x 'the end' "$work/said"; }
    check systemd_ran_all_of_it came_to_its_end
fi
finish
