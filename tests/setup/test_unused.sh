#!/bin/bash
# No function of the rooms is there for nobody: what has external linkage is called by another file of
# the rooms, or at least by its own. Whatever only tests call belongs to them.
# shellcheck source=tests/setup/check.sh
. "$(dirname "$0")/check.sh"
build=${BUILD:-build}
rooms=$(scripts/layers.sh rooms)

# Interfaces that stand for whoever comes next, or that a test needs to see what it tests.
may_be_unused() {
    case $1 in
    # sae/import and sae/encoder: what reads a published SAE; tests and interop alone do so far
    import_open | encoder_pairs | encoder_decode | pairs_free) ;;
    # sae_evaluate() with no whitening, sae_forward(): the interface that tests compare others with
    sae_evaluate | sae_forward | sae_count_of) ;;
    # what a checkpoint or a tensor file holds, for fuzzers
    checkpoint_section | checkpoint_sections | checkpoint_step | safetensors_metadata) ;;
    # room that a caller's payload needs; bench_stream and tests are such callers
    cutter_payload_bytes) ;;
    # client/: programs that are not ours call it
    sluice_*) ;;
    # trainer/event.proto: protobuf-c makes all of them for every message; tests read what was written
    event__*) ;;
    # counts that tests hold state machines to
    consumer_finished_slabs | desk_sessions | desk_has_frames | link_counters) ;;
    *) return 1 ;;
    esac
}

# unused ARCHIVES... : functions that no other object asks for and that are named once in all sources;
# a type or a member of the same name is no use of it.
unused() {
    local name
    local other='(?<!struct )(?<!union )(?<!enum )(?<!\.)(?<!->)'
    comm -23 \
        <(nm --defined-only "$@" 2>/dev/null | awk '$2 == "T" { print $3 }' | sort -u) \
        <(nm --undefined-only "$@" "$build"/*/main.o "$build"/pic/*/*.o 2>/dev/null | awk '$1 == "U" { print $2 }' | sort -u) |
        while read -r name; do
            [ "$(cat "${sources[@]}" | grep -oP "$other\\b$name\\b" | wc -l)" -gt 1 ] || echo "$name"
        done
}
nobody_is_left_out() {
    local name left=0
    for name in $(unused "${archives[@]}"); do
        may_be_unused "$name" || { echo "$name() is called by no program"; left=1; }
    done
    return $left
}

archives=() sources=()
for room in $rooms; do
    archives+=("$build/lib$room.a")
    for file in "$room"/*.c "$room"/*/*.c; do [ ! -e "$file" ] || sources+=("$file"); done
done
check every_function_is_called nobody_is_left_out
# The test sees what it is there to see.
sees() {
    echo 'struct nobody_calls_this;
          int nobody_calls_this(struct nobody_calls_this *x) { return x == 0; }' >"$work/extra.c"
    gcc -c "$work/extra.c" -o "$work/extra.o" && ar rcs "$work/libextra.a" "$work/extra.o"
    sources+=("$work/extra.c")
    unused "${archives[@]}" "$work/libextra.a" | grep -qx nobody_calls_this
}
check it_would_be_seen sees
finish
