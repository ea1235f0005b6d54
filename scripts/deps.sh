#!/bin/bash
# Installs what Sluice is built from: Debian's packages, then llama.cpp (unless the system has a
# version that we support) into the user's cache. May be run again at any time: what is there stays,
# and nothing is fetched then. Debian 12; root, or sudo for the packages alone.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/common.sh
. scripts/common.sh

build_packages='build-essential pkg-config cmake ninja-build chrpath ca-certificates
    python3 python3-pip python3-venv
    libzmq3-dev liblmdb-dev liblz4-dev libuv1-dev libxxhash-dev libsodium-dev libopenblas-dev
    libmicrohttpd-dev libjansson-dev libyaml-dev zlib1g-dev libzstd-dev libbz2-dev
    liblzma-dev libzip-dev libprotobuf-c-dev protobuf-c-compiler libisal-dev libjs-dygraphs libncurses-dev'
test_packages='libcmocka-dev clang clang-format libclang-rt-dev lmdb-utils zstd curl git shellcheck
    man-db iproute2 nftables chromium chromium-driver systemd procps tmux'
# dict-gcide, the third of them, is unpacked and not installed (model.sh): it brings a server.
corpus_packages='fortunes fortunes-min perl-doc'

install_packages() {
    local missing=() package
    command -v dpkg-query >/dev/null || die "this is not Debian; HINT: docs/SETUP.md lists what to install"
    for package; do
        # shellcheck disable=SC2016
        dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed ||
            missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    say "deps: installing ${missing[*]}"
    local sudo=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || die "${#missing[@]} packages are missing; HINT: run 'make deps' as root: ${missing[*]}"
        sudo=(sudo)
    fi
    # The pods of perl-doc and the texts of fortunes lie outside the folders that small images leave
    # out of packages, so nothing else is needed for them.
    "${sudo[@]}" apt-get update -q >&2
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q --no-install-recommends "${missing[@]}" >&2
}

# build_llama TARGET: builds in a folder beside the target and renames it when it has proved itself.
build_llama() {
    local target=$1 work
    mkdir -p "${target%/*}"
    exec 9>"${target%/*}/lock"
    flock 9
    [ ! -e "$target/lib/libllama.so" ] || return 0
    rm -rf "${target%/*}"/.building.*
    work=$(mktemp -d "${target%/*}/.building.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    say "deps: building llama.cpp (llama-cpp-python $llama_version) for $cpu_key: 1 to 3 minutes"
    scripts/llama_build.sh "$work" >"$work/log" 2>&1 || {
        tail -40 "$work/log" >&2
        die "llama.cpp was not built (above: the end of what was said)"
    }
    # shellcheck disable=SC2016
    sed -i -e "s|^prefix=.*|prefix=$target|" -e 's|^exec_prefix=.*|exec_prefix=${prefix}|' \
        -e 's|^libdir=.*|libdir=${prefix}/lib|' -e 's|^includedir=.*|includedir=${prefix}/include|' \
        "$work/done/lib/pkgconfig/llama.pc"
    try_llama "$work/done" >&2
    mv -T "$work/done" "$target"
    rm -rf "$work"
    trap - EXIT
}

try_llama() {
    cc -std=c11 scripts/llama_try.c -I"$1/include" -L"$1/lib" -Wl,-rpath,"$1/lib" \
        -lllama -lggml-cpu -lggml -lggml-base -lm -o "$1/try" || die "llama.cpp does not link"
    "$1/try" || die "llama.cpp does not work on this CPU ($cpu_key)"
    rm "$1/try"
}

# shellcheck disable=SC2086
install_packages $build_packages $test_packages $corpus_packages
scripts/prometheus.sh --fetch >/dev/null
if scripts/llama.sh --system; then
    say "deps: llama.cpp is the system's ($(pkg-config --modversion llama))"
else
    cpu_find
    target=$cache/llama/$llama_version-r$llama_recipe-$cpu_key
    build_llama "$target"
    say "deps: llama.cpp is in $target"
fi
