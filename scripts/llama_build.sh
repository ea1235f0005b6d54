#!/bin/bash
# llama_build.sh WORK: fetches llama.cpp and compiles what we link of it into WORK/done: libllama and
# ggml for this CPU, their headers and licences. deps.sh runs it in a scratch folder.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/common.sh
. scripts/common.sh
work=$1
llama_source "$work"

# The archive's own build makes libraries for images and chats, too: twice the work. OpenMP stays on:
# its barriers sleep when told to (OMP_WAIT_POLICY), ggml's own always spin, and the engine shares its
# cores with a trainer.
cpu_find
# shellcheck disable=SC2086,SC2016
cmake -S "$work/source/vendor/llama.cpp" -B "$work/build" -G Ninja $cpu_options \
    -DGGML_OPENMP=ON -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=ON \
    -DLLAMA_BUILD_COMMON=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_TOOLS=OFF \
    -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_SERVER=OFF -DLLAMA_BUILD_APP=OFF \
    -DCMAKE_INSTALL_LIBDIR=lib '-DCMAKE_INSTALL_RPATH=$ORIGIN'
cmake --build "$work/build" --target llama ggml --parallel "$(nproc)"
cmake --install "$work/build" --prefix "$work/done"
cp "$work/source/LICENSE.md" "$work/done/"
cp "$work/source/vendor/llama.cpp/LICENSE" "$work/done/LICENSE.llama.cpp"
