#!/bin/bash
# A tree that one user built runs for another, who may look neither into that one's home nor cache.
# shellcheck source=tests/setup/check.sh
. "$(dirname "$0")/check.sh"
build=${BUILD:-build}

no_path_of_the_builder() {
    ! readelf -d "$build"/sluice "$build"/sluice-* | grep -E 'R(UN)?PATH' | grep -F "$HOME"
}
check no_program_looks_into_the_builders_home no_path_of_the_builder

libraries_lie_beside_it() {
    local found
    scripts/llama.sh --system && return 0
    found=$(ldd "$work/tree/sluice-capture" | grep -E 'libllama|libggml')
    echo "$found"
    [ "$(grep -c "$work/tree/lib/" <<<"$found")" -ge 3 ] && ! grep -v "$work/tree/lib/" <<<"$found"
}
chmod 755 "$work"
mkdir -p "$work/tree" "$work/state"
cp -r "$build"/sluice "$build"/sluice-capture "$build"/sluice-broker "$build"/sluice-sink \
    "$build"/sluice-trainer "$build"/lib "$work/tree/" 2>/dev/null
chmod -R a+rX "$work/tree"
check the_tree_can_be_moved libraries_lie_beside_it

as_nobody() {
    setpriv --reuid=65534 --regid=65534 --clear-groups env -i PATH="$PATH" HOME=/nonexistent \
        XDG_STATE_HOME="$work/state" "$@"
}
if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null; then
    chown 65534:65534 "$work/state"
    printf '%s\n' 'stream: { name: other }' \
        'capture: { engine: synthetic, synthetic: { features: 32, width: 16, rows: 4000 } }' \
        'sink: { size: 16MiB }' \
        'trainer: { batch_rows: 128, saes: [ { arch: count, name: rows } ] }' >"$work/run.yaml"
    chmod 644 "$work/run.yaml"
    check starts_for_another_user says "sluice" as_nobody "$work/tree/sluice" --version
    check runs_for_another_user says "is finished" as_nobody "$work/tree/sluice" up "$work/run.yaml"
    check nobody_runs_in_the_folder_of_another fails_saying "belongs to user 65534, and this is user 0" \
        env XDG_STATE_HOME="$work/state" "$work/tree/sluice" up "$work/run.yaml" --fresh
    chown 0:0 "$work/state/sluice/other"
    chmod 755 "$work/state/sluice/other"
    check nobody_runs_in_the_folder_of_root fails_saying "belongs to user 0, and this is user 65534" \
        as_nobody "$work/tree/sluice" up "$work/run.yaml"
fi
finish
