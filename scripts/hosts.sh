#!/bin/bash
# Programs that Sluice captures from and that are not ours, both from the archive that libllama is of
# (common.sh), both on the libllama that `make deps` built: llama_cpp.server in a virtual environment
# (15 seconds, 130 MB) and llama-server (3 to 5 minutes on two cores). Made once, in the user's cache.
#   hosts.sh COMMAND...   makes what is not there, and runs the command with their places in
#                         SLUICE_HOST_PYTHON, SLUICE_HOST_SERVER and LLAMA_CPP_LIB_PATH
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/common.sh
. scripts/common.sh
wanted=tests/hosts/requirements.txt
work=

scratch() {
    mkdir -p "$cache/hosts"
    work=$(mktemp -d "$cache/hosts/.building.XXXXXX")
    trap 'rm -rf "$work"' EXIT
}

# tell COMMAND...: what it says goes into a log, whose end is shown if it fails.
tell() {
    "$@" >>"$work/log" 2>&1 && return
    tail -30 "$work/log" >&2
    die "'$1' failed (above: the end of what was said)"
}

fetch_source() {
    [ -d "$work/source" ] || tell llama_source "$work"
}

# Not compiled: LLAMA_CPP_LIB_PATH says where its library is.
make_python() {
    local pip="$1/bin/pip --quiet --no-cache-dir --disable-pip-version-check"
    say "hosts: installing llama_cpp.server into $1 (15 seconds, 130 MB)"
    fetch_source
    rm -rf "$1"
    "$(python_with_pip)" -m venv "$1"
    # shellcheck disable=SC2086
    tell $pip install -r $wanted
    # shellcheck disable=SC2086
    CMAKE_ARGS=-DLLAMA_BUILD=OFF tell $pip install --no-deps "$work"/archive/llama_cpp_python-*.tar.gz
    touch "$1/complete"
}

# build_server TARGET PREFIX: a folder with the program and its own libraries; libllama is PREFIX's.
build_server() {
    say "hosts: building llama-server (llama-cpp-python $llama_version) into $1: 3 to 5 minutes"
    fetch_source
    # shellcheck disable=SC2016
    tell cmake -S tests/hosts/llama-server -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
        -DSOURCE="$work/source/vendor/llama.cpp" -DCMAKE_PREFIX_PATH="$2" \
        -DCMAKE_BUILD_WITH_INSTALL_RPATH=ON "-DCMAKE_INSTALL_RPATH=\$ORIGIN;$2/lib"
    tell cmake --build "$work/build" --target llama-server --parallel "$(nproc)"
    tell "$work/build/bin/llama-server" --version
    rm -rf "$1"
    cp "$work/source/vendor/llama.cpp/LICENSE" "$work/build/bin/LICENSE.llama.cpp"
    mv -T "$work/build/bin" "$1"
}

[ $# -gt 0 ] || die "say what to run"
! scripts/llama.sh --system ||
    die "llama.cpp is the system's, which may be another one than these are made of; HINT: hide its llama.pc from pkg-config and run 'make deps'"
cpu_find
prefix=$(scripts/llama.sh --prefix)
python=$cache/hosts/python-$llama_version-$(sha256sum <$wanted | cut -c1-12)
server=$cache/hosts/llama-server-${prefix##*/}-$(sha256sum <tests/hosts/llama-server/CMakeLists.txt | cut -c1-12)

scratch
exec 9>"$cache/hosts/lock"
flock 9
[ -e "$python/complete" ] || make_python "$python"
[ -x "$server/llama-server" ] || build_server "$server" "$prefix"
exec 9>&-
rm -rf "$work"
trap - EXIT
export SLUICE_HOST_PYTHON=$python/bin/python SLUICE_HOST_SERVER=$server/llama-server
export LLAMA_CPP_LIB_PATH=$prefix/lib PYTHONDONTWRITEBYTECODE=1
exec "$@"
