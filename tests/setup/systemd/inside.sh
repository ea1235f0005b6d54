#!/bin/bash
# What test_units.sh has a real systemd do: run by boot.sh as a service of it. Prints `ok NAME` and
# `not ok NAME`, and what was seen below the latter.
set -u
PATH=/opt/sluice/bin:$PATH

# tell NAME COMMAND...
tell() {
    local name=$1 output
    shift
    if output=$("$@" 2>&1); then echo "ok $name"; else
        echo "not ok $name"
        sed 's/^/# /' <<<"$output"
    fi
}

# within SECONDS COMMAND...: until it succeeds
within() {
    local until=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $until ] || { "$@"; return; }
        sleep 0.2
    done
}

shows() { # UNIT PROPERTY=VALUE...
    local unit=$1 found
    shift
    for found; do
        systemctl show -p "${found%%=*}" "$unit" | grep -qx -- "$found" || {
            systemctl show -p Result,ExecMainStatus,ActiveState,NRestarts "$unit"
            journalctl -q --no-pager -u "$unit" | tail -n 20
            return 1
        }
    done
}

as_sluice() { runuser -u sluice -- "$@"; }
trains() { as_sluice sluice status "/etc/sluice/$1.yaml" | grep -E '^  trained +[1-9]'; }
process() { pgrep -u sluice -f "sluice-$1 /etc/sluice/$2.yaml"; }

systemd-sysusers /opt/sluice/lib/sysusers.d/sluice.conf
mkdir -p /etc/sluice
rest='sink: { size: 16MiB }
trainer: { batch_rows: 256, threads: 1, min_rows: 2000, saes: [ { arch: topk, features: 256, k: 4 } ] }'
rows='synthetic: { features: 64, width: 32, rows: 900000000 }'
printf '%s\n' 'stream: { name: one, run_dir: /var/lib/sluice/one }' \
    "capture: { engine: synthetic, $rows }" "$rest" >/etc/sluice/one.yaml
printf '%s\n' 'stream: { name: two, run_dir: /var/lib/sluice/two }' \
    'broker: { front: "tcp://127.0.0.1:7101", back: "tcp://127.0.0.1:7102", keys: /etc/sluice/keys/two }' \
    "capture: { engine: synthetic, producers: 2, $rows }" "$rest" >/etc/sluice/two.yaml
printf '%s\n' 'stream: { name: bad, nonsense: 1 }' >/etc/sluice/bad.yaml

# ---- a whole pipeline ----
tell a_pipeline_starts systemctl start sluice@one
tell it_trains within 60 trains one
others_see_nothing() {
    [ "$(stat -c '%U %a' /var/lib/sluice /var/lib/sluice/one | sort -u)" = 'sluice 700' ] || {
        stat -c '%n %U %a' /var/lib/sluice /var/lib/sluice/one
        return 1
    }
}
tell its_folders_are_its_own others_see_nothing
page() { curl -sf "http://$(cat /var/lib/sluice/one/http/broker)/healthz"; }
tell its_page_is_there_for_the_host within 30 page
before=$(process capture one)
kill -9 "$before"
another_capture() { [ "$(process capture one)" != "$before" ] && process capture one; }
tell a_killed_process_comes_back within 60 another_capture
tell and_the_unit_goes_on shows sluice@one ActiveState=active NRestarts=0
tell it_stops systemctl stop sluice@one
tell it_drained shows sluice@one Result=success ExecMainStatus=0
tell with_a_checkpoint ls /var/lib/sluice/one/main/checkpoint-*.sluice
nothing_is_left() { ! pgrep -u sluice; }
tell nothing_is_left nothing_is_left

# ---- a unit for each process, over tcp ----
install -d -o sluice -g sluice -m 700 /etc/sluice/keys
as_sluice sluice keygen /etc/sluice/two.yaml >/dev/null
echo 'SLUICE_CAPTURE=--producer 1' >/etc/sluice/two.env
for role in broker sink trainer capture; do
    tell "a_${role}_starts" systemctl start "sluice-$role@two"
done
tell they_train_together within 60 trains two
second() { pgrep -u sluice -f 'sluice-capture .*--producer 1'; }
tell the_capture_is_the_one_that_was_named second
# The order of no consequence: what is left waits, and drains by itself.
for role in broker capture trainer sink; do
    systemctl stop "sluice-$role@two"
    tell "a_${role}_drained" shows "sluice-$role@two" Result=success ExecMainStatus=0
done

# ---- a file that is wrong ----
systemctl start sluice@bad
gave_up() { shows sluice@bad ActiveState=failed ExecMainStatus=2 NRestarts=0; }
tell a_wrong_file_is_not_tried_again within 30 gave_up
echo 'the end'
