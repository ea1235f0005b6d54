#!/bin/bash
# `make bench`: the figures of docs/SPEED.md, measured in pairs within one run. Prints a table.
# Nothing here passes or fails; BENCH_ROWS (default 60000) is the size of the end-to-end part, which is
# run BENCH_REPEATS (default 3) times.
set -eu
cd "$(dirname "$0")/.."
build=${BUILD:-build}
rows=${BENCH_ROWS:-60000}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export XDG_STATE_HOME=$work

# value NAME FILE: what stands behind NAME= in a bench's output
value() { grep -oE "(^| )$1=[^ ]+" "$2" | tail -n 1 | cut -d= -f2; }
config() { # NAME SIZE CONSUMERS
    cat <<EOF
stream:  { name: $1, model: smollm2, hooks: [resid_post.15] }
capture: { corpus: corpus, rows: $rows }
sink:    { size: $2 }
trainer: { consumers: $3, batch_rows: 4096, saes: [ { arch: topk, features: 4608, k: 32, lr: 1e-3 } ] }
EOF
}
seconds() { date +%s.%N; }

echo "machine: $(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2 | xargs), $(nproc) cores; $(date -u +%F); commit $(git rev-parse --short HEAD 2>/dev/null || echo none)"

echo "== end to end ($rows rows, layer 15, topk F 4608 K 32, reuse 1, seconds of whole processes)"
config whole 256MiB '[main]' >"$work/whole.yaml"
config alone 2GiB '[]' >"$work/alone.yaml"
"$build/sluice" up "$work/alone.yaml" >/dev/null # a stream that fits, for the trainer alone
timed() { # NAME COMMAND...: seconds of a command, in $work/NAME.seconds
    local name=$1 start end
    shift
    start=$(date +%s.%N)
    "$@" >"$work/$name.out"
    end=$(date +%s.%N)
    awk -v a="$start" -v b="$end" 'BEGIN { printf "%.2f\n", b - a }' >"$work/$name.seconds"
}
for repeat in $(seq "${BENCH_REPEATS:-3}"); do # noise hits one part of a run: hence several, side by side
    timed engine "$build/tests/bench/bench_engine" "$work/alone.yaml"
    timed trainer "$build/sluice-trainer" --log-level error --replay "$work/sluice/alone/buffer" "$work/alone.yaml"
    timed pipeline "$build/sluice" up --fresh "$work/whole.yaml"
    awk -v e="$(cat "$work/engine.seconds")" -v t="$(cat "$work/trainer.seconds")" \
        -v p="$(cat "$work/pipeline.seconds")" -v n="$(value tokens "$work/engine.out")" 'BEGIN {
        printf "%.3f (engine + trainer) / pipeline: %.1f s + %.1f s over %.1f s; ", (e + t) / p, e, t, p
        printf "%.3f of the tokens/s of the engine alone (%.0f of %.0f)\n", e / p, n / p, n / e }' |
        tee -a "$work/ratios"
done
sort -n "$work/ratios" | awk '{ r[NR] = $1 }
    END { printf "median %.3f, %.3f to %.3f; target >= 0.97\n", r[int((NR + 1) / 2)], r[1], r[NR] }'

echo "== stream (codec none, 256 KiB frames, durability process)"
"$build/tests/bench/bench_stream" "$build" "${BENCH_STREAM_GIB:-4}"

echo "== draw (2 GB buffer, D 576, bf16, batch 4096)"
"$build/tests/bench/bench_draw"

echo "== trainer (topk K 32, B 4096, D 576)"
"$build/tests/bench/bench_trainer"

echo "== wire"
"$build/tests/bench/bench_wire"

echo "== memory (anonymous and shared, against the caps that sluice check states)"
"$build/sluice" check "$work/whole.yaml" | grep -E 'memory|buffer on disk|unacked'
