#!/bin/bash
# `make bench`: the figures of docs/SPEED.md, measured in pairs within one run. Prints a table.
# Nothing here passes or fails; BENCH_ROWS (default 60000) is the size of the end-to-end part, which is
# run BENCH_REPEATS (default 3) times; BENCH_INDEX_ROWS (default 300000) that of the feature index.
# PARTS="eval index" measures these two alone; PARTS=tap is measured only where it is asked for (an hour and a half).
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

# shellcheck source=scripts/common.sh
. scripts/common.sh

eval_part() {
    echo "== eval (topk F 4608 K 32, layer 15, contexts of 128: tokens/s beside the model's own, all logits)"
    "$build/tests/bench/bench_eval" "$cache/models/smollm2.gguf" "$cache" "$cache/corpus/corpus.jsonl"
}

index_config() {
    cat <<EOF
stream:  { name: index, dtype: f32 }
capture: { engine: synthetic, synthetic: { features: 18432, width: 576, l0: 32, rows: 8192 } }
sink:    { size: 64MiB }
trainer: { batch_rows: 2048, saes: [ { arch: topk, features: 18432, k: 32, lr: 1e-3 } ] }
EOF
}

# The SAE has had four steps: its K features of a row are spread over all of them, as a trained one's.
index_part() {
    local index_rows=${BENCH_INDEX_ROWS:-300000} memory=64MiB start
    echo "== feature index (topk F 18432 K 32, D 576, $index_rows synthetic rows, --memory $memory)"
    index_config >"$work/index.yaml"
    "$build/sluice" up --fresh "$work/index.yaml" >/dev/null
    start=$(seconds)
    "$build/tests/bench/bench_memory" "$work/index.memory" "$build/sluice" inspect "$work/index.yaml" \
        "$work/index" --tokens "$index_rows" --memory "$memory" --set capture.synthetic.rows="$index_rows"
    awk -v a="$start" -v b="$(seconds)" -v n="$index_rows" -v i="$(du -m "$work/index" | cut -f1)" \
        -v m="$(value anon_shared_mib "$work/index.memory")" 'BEGIN {
        printf "%.1f s, %.0f tokens/s; %d MB; at most %.1f MiB, anonymous and shared\n", b - a, n / (b - a), i, m }'
    for feature in 0 9000 18431; do
        start=$(seconds)
        "$build/sluice" features show "$work/index" $feature >/dev/null
        awk -v a="$start" -v b="$(seconds)" -v f=$feature 'BEGIN {
            printf "features show %d: %.3f s; target < 1\n", f, b - a }'
    done
}

tap_config() { # HOOKS
    cat <<EOF
stream:  { name: bench-$$, hooks: [$1], policy: shed, run_dir: $work/tap }
capture: { engine: ring, measure_contexts: 1 }
sink:    { size: 64MiB }
trainer: { consumers: [] }
EOF
}

# Hosts that are not ours: without a tap, which is the noise, then with one that is off and on in turns,
# with the reader at work, stopped and killed.
tap_part() {
    local host hooks state file pairs=${BENCH_PAIRS:-30} tap=("$build/tests/bench/bench_tap")
    for hooks in resid_post.15 resid_post.6,resid_post.12,resid_post.18,resid_post.24; do
        file=$work/${hooks//[^0-9]/_}.yaml
        tap_config "$hooks" >"$file"
        # Not by `sluice up`, whose children are groups of their own: all is stopped, or killed, at once.
        echo "'$build/sluice-broker' $file & '$build/sluice-sink' $file & exec '$build/sluice-capture' $file" >"$file.sh"
    done
    for host in ${BENCH_HOSTS:-tiny batched llama_cpp.server llama-server}; do
        [[ $host != llama* ]] || tap=(scripts/hosts.sh "$build/tests/bench/bench_tap")
        echo "== the tap: $host ($pairs pairs each; aims: processor time + 1 % with one hook, + 3 % with four)"
        "${tap[@]}" "$host" --pairs "$pairs"
        for file in "$work"/_*.yaml; do
            for state in ${BENCH_STATES:-running stopped killed}; do
                rm -rf "$work/tap"
                "${tap[@]}" "$host" --pairs "$pairs" --tap "$build/sluice,$file" \
                    --name "$(grep -o 'resid_post' "$file" | wc -l) hooks, $state" \
                    --reader "bash $file.sh >/dev/null 2>&1" --state "$state"
            done
        done
    done
    rm -rf "/dev/shm/sluice-$(id -u)/bench-$$"
}

ring_part() {
    echo "== libsluice: one row handed over, beside memcpy of its float32 values (ns of one thread)"
    "$build/tests/bench/bench_ring"
}

history_part() {
    echo "== history (what the broker keeps of a run and tells of it, at 1 Hz)"
    "$build/tests/bench/bench_history"
}

page_part() {
    echo "== the live page (headless Chromium on loopback beside a pipeline at work; aims: 1 MB, first paint after 200 ms)"
    for _ in $(seq "${BENCH_REPEATS:-3}"); do
        "$build/tests/e2e/test_dashboard" it_is_small_and_asks_nobody_else 2>/dev/null | grep 'the page is'
    done
}

if [ -n "${PARTS:-}" ]; then
    for part in $PARTS; do "${part}_part"; done
    exit
fi

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
for _ in $(seq "${BENCH_REPEATS:-3}"); do # noise hits one part of a run: hence several, side by side
    timed engine "$build/tests/bench/bench_engine" "$work/alone.yaml"
    rm -rf "$work/sluice/alone/replay"
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

echo "== inspect (the SAE and the buffer of the run above; tokens/s of the engine alone, and of whole processes)"
# Newly made each time; the model is prepared before.
for _ in $(seq "${BENCH_REPEATS:-3}"); do
    rm -rf "$work/index" "$work/index-buffer"
    timed engine "$build/tests/bench/bench_engine" "$work/alone.yaml"
    timed inspect "$build/sluice" inspect "$work/sluice/alone/replay" "$work/index" --no-promotes \
        --corpus corpus --tokens "$(value tokens "$work/engine.out")" 2>/dev/null
    timed buffer "$build/sluice" inspect "$work/sluice/alone/replay" "$work/index-buffer" --no-promotes \
        --from-buffer 2>/dev/null
    awk -v n="$(value tokens "$work/engine.out")" -v m="$(awk '{ print $(NF - 6) }' "$work/buffer.out")" \
        -v e="$(cat "$work/engine.seconds")" -v i="$(cat "$work/inspect.seconds")" \
        -v b="$(cat "$work/buffer.seconds")" 'BEGIN {
        printf "%.3f inspect over the engine (target >= 0.85): %.0f of %.0f; ", e / i, n / i, n / e
        printf "%.1f out of the buffer (target >= 10): %.0f\n", (m / b) / (n / e), m / b }'
done

echo "== steering and tracing (the autoencoder of the pipeline above)"
"$build/tests/bench/bench_steer" "$work/sluice/whole"

echo "== stream (codec none, 256 KiB frames, durability process)"
"$build/tests/bench/bench_stream" "$build" "${BENCH_STREAM_GIB:-4}"

echo "== transports (the same stream over ipc, tcp and tcp with CURVE, in turns)"
"$build/tests/bench/bench_transport" "$build" "${BENCH_TRANSPORT_GIB:-1}"

echo "== beside a flood (frames stored per second; aim: half of the rate without)"
"$build/tests/bench/bench_flood" "$build"
history_part
page_part

echo "== after kill -9 (seconds until rows move again)"
"$build/tests/bench/bench_recovery" | grep 'median of'

echo "== draw (2 GB buffer, D 576, bf16, batch 4096)"
"$build/tests/bench/bench_draw"

contexts=$((rows * 8 / 7 / 511 + 1)) # bench_dtype holds an eighth of them out
echo "== rows for the rest ($contexts contexts of 512 tokens)"
mkdir "$work/rows"
"$build/tests/interop/rows_driver" "$cache/models/smollm2.gguf" "$cache" "$cache/corpus/corpus.jsonl" \
    "$contexts" 512 "$work/rows"

echo "== trainer (topk K 32, B 4096, D 576)"
"$build/tests/bench/bench_trainer" 2 "$work/rows"

echo "== wire"
"$build/tests/bench/bench_wire" "$work/rows"

echo "== what the wire's dtype costs (topk F 4608 K 32, trained through it, measured on float32)"
"$build/tests/bench/bench_dtype" "$work/rows"

echo "== memory (end to end again: peaks, MiB, beside the caps that sluice check states)"
"$build/tests/bench/bench_memory" "$work/memory" "$build/sluice" up --fresh "$work/whole.yaml" >/dev/null
tr '=' ' ' <"$work/memory" |
    awk '{ printf "%-16s %7.1f anonymous and shared%s\n", $1, $3, (NF > 3) ? sprintf(", %.1f of files", $5) : "" }'
printf '%-16s %7.1f\n' "the map's file" "$(du -m "$work/sluice/whole/buffer/data.mdb" | cut -f1)"
"$build/sluice" check "$work/whole.yaml" | grep -E 'memory of|buffer on disk'

ring_part
eval_part
index_part
