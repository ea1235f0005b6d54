#!/bin/bash
# Tests against the real SAELens, sparsify, circuit-tracer and transformers, in a virtual environment of the user's
# cache that is made once for each list of versions (tests/interop/requirements.txt: 5.6 GB):
# interop.sh [ARGUMENTS OF PYTEST], or `interop.sh peers [PART]...` to measure Sluice beside them.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/common.sh
. scripts/common.sh
wanted=tests/interop/requirements.txt
alone=tests/interop/requirements-alone.txt
export SLUICE_PREPARED=f32 # what peers compute in, on any processor
venv=$cache/venv-$(cat $wanted $alone | sha256sum | cut -c1-12)

make_venv() {
    [ ! -e "$venv/complete" ] || return 0
    local python
    python=$(python_with_pip)
    say "interop: installing torch, SAELens, sparsify, circuit-tracer and transformers into $venv (2 minutes, 5.6 GB)"
    rm -rf "$venv"
    # The pip that Debian 12 brings cannot read sae-lens's metadata.
    "$python" -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --upgrade 'pip>=25'
    "$venv/bin/pip" install --quiet --no-cache-dir --disable-pip-version-check -r $wanted
    "$venv/bin/pip" install --quiet --no-cache-dir --disable-pip-version-check --no-deps -r $alone
    touch "$venv/complete"
}

# What the measuring needs besides. dictionary_learning comes without what it asks for: its trainers
# need nothing more than what is there.
make_peers() {
    local pip=("$venv/bin/python" -m pip install --quiet --no-cache-dir --disable-pip-version-check)
    if [ ! -e "$venv/peers" ]; then
        "${pip[@]}" --no-deps dictionary-learning==0.1.0
        "${pip[@]}" matplotlib==3.11.2
        touch "$venv/peers"
    fi
    # What SAEDashboard's run() imports; the rest of what it asks for is older than what SAELens has here.
    "$venv/bin/python" -c 'import dataclasses_json, eindex' 2>/dev/null ||
        "${pip[@]}" --no-deps dataclasses-json==0.6.7 eindex-callum==0.1.2 marshmallow==3.26.1 \
            mypy-extensions==1.1.0 typing-inspect==0.9.0
}

make_venv
# Nothing may be fetched or sent while the tests run; sparsify's Triton kernels need a GPU.
export HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 WANDB_MODE=disabled SPARSIFY_DISABLE_TRITON=1
export BUILD=${BUILD:-build} PYTHONDONTWRITEBYTECODE=1
SLUICE_MODEL=$cache/models/smollm2.gguf SLUICE_CORPUS=$cache/corpus/corpus.jsonl
export SLUICE_MODEL SLUICE_CORPUS
if [ "${1:-}" = peers ]; then
    make_peers
    export OMP_NUM_THREADS=${BENCH_PEER_THREADS:-2}
    exec "$venv/bin/python" tests/bench/peers "${@:2}"
fi
pytest=("$venv/bin/python" -m pytest -p no:cacheprovider -ra)
[ $# -eq 0 ] || exec "${pytest[@]}" tests/interop "$@"

# Two halves at once: most of it is one thread's. The last line is 'N passed, N failed'.
half=(tests/interop/test_{circuit_tracer,eval,hooks}.py)
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
"${pytest[@]}" "${half[@]}" >"$logs/half" 2>&1 &
beside=$! status=0
"${pytest[@]}" tests/interop "${half[@]/#/--ignore=}" 2>&1 | tee "$logs/rest" || status=$?
wait $beside || status=$?
cat "$logs/half"
count() { tail -qn 1 "$logs"/* | grep -oE "[0-9]+ $1" | awk '{ n += $1 } END { print n + 0 }'; }
echo "$(count passed) passed, $(($(count failed) + $(count error))) failed"
exit $status
