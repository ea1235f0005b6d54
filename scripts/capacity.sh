#!/bin/bash
# The tables of capacity in docs/operations.md, out of what `sluice check` says: capacity.sh [BUILD].
# tests/setup/test_operations.sh fails where they differ from the document's.
set -eu
cd "$(dirname "$0")/.."
build=${1:-build}
export SLUICE_SCREEN=off # on any processor the same
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# sizes WIDTH HOSTS ROWS_PER_SECOND: JSON
sizes() {
    cat >"$work/run.yaml" <<END
stream: { name: capacity, run_dir: $work/run, policy: shed, hooks: [resid_post.15] }
capture: { engine: ring, producers: $2 }
sink: { size: 64GiB }
trainer: { saes: [ { arch: topk, features: $((8 * $1)), k: 32 } ] }
END
    "$build/sluice" check "$work/run.yaml" --width "$1" --capacity "$3" --json
}

# cells HOSTS FORMAT...: one line of a table, out of the JSON on standard input
cells() {
    python3 -c '
import json, sys
c = json.load(sys.stdin)["capacity"]
def size(n):
    for unit in ("B", "KiB", "MiB", "GiB"):
        if n < 1024 or unit == "GiB":
            return f"{n:.0f} {unit}" if n >= 100 or unit == "B" else f"{n:.1f} {unit}"
        n /= 1024
def cell(what):
    if what[0] == "=":
        return what[1:]
    value = c[what]
    if what == "row_wire_bytes":
        return f"{value:,.0f}"
    if "flop" in what:
        return f"{value / 1e9:,.0f} GFLOP/s"
    if what.endswith("bytes_per_second"):
        return size(value) + "/s"
    if what.endswith("bytes"):
        return size(value)
    if what.endswith("seconds"):
        return f"{value / 60:.0f} min"
    return f"{value:,.0f}"
print("| " + " | ".join(cell(what) for what in sys.argv[1:]) + " |")' "$@"
}

echo "| values per row | bytes per row | into the sink | the buffer lasts | a checkpoint | disk for 30 days | a trainer's memory | its products, were they dense |"
echo "|---|---|---|---|---|---|---|---|"
for width in 576 2304 4096; do
    sizes $width 1 5000 | cells row_values row_wire_bytes sink_link_bytes_per_second \
        buffer_horizon_seconds checkpoint_bytes disk_bytes trainer_memory_bytes training_flop_per_second
done
echo
echo "| capture hosts | rows/s in all | each sends | into the sink | the buffer lasts | checkpoints write, at most | broker's memory, at most | a trainer's products, were they dense |"
echo "|---|---|---|---|---|---|---|---|"
for hosts in 1 2 4; do
    sizes 2304 $hosts $((5000 * hosts)) | cells "=$hosts" captured_rows_per_second \
        capture_link_bytes_per_second sink_link_bytes_per_second buffer_horizon_seconds \
        checkpoint_write_bytes_per_second broker_memory_bytes training_flop_per_second
done
