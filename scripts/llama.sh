#!/bin/bash
# Tells make about the llama.cpp in use: the system's where pkg-config knows one of a supported
# version, else the one that `make deps` built for this kind of CPU.
#   llama.sh --cflags | --libs | --prefix | --libdir | --system | --copy FOLDER
# --copy puts the cache's libraries, under the names that the loader asks for, into a folder: a cache
# is in somebody's home, where others may not look. Of the system's there is nothing to copy.
# --system succeeds, silently, where it is the system's. Nothing is cached: headers and libraries
# of two versions must never mix.
set -eu
# shellcheck source=scripts/common.sh
. "${BASH_SOURCE[0]%/*}/common.sh"

system_has_one() {
    local version
    version=$(pkg-config --modversion llama 2>/dev/null) || return 1
    # shellcheck disable=SC2254
    case $version in $llama_supported) ;; *) return 1 ;; esac
}

# A library outside the loader's own folders needs its folder in the binary.
system_libs() {
    local libdir
    libdir=$(pkg-config --variable=libdir llama)
    case $libdir in
    /lib | /lib/* | /usr/lib | /usr/lib/*) ;;
    *) printf '%s ' "-Wl,-rpath,$libdir" ;;
    esac
    pkg-config --libs llama
}

from_system() {
    case $1 in
    --cflags) pkg-config --cflags llama ;;
    --libs) system_libs ;;
    --prefix) pkg-config --variable=prefix llama ;;
    --libdir) pkg-config --variable=libdir llama ;;
    --system | --copy) ;;
    esac
}

copy_libraries() {
    local file
    mkdir -p "$2"
    for file in "$1"/lib{llama,ggml,ggml-base,ggml-cpu}.so.[0-9]; do
        # Never written over: a program that runs has the old one mapped.
        install -m 755 "$file" "$2/${file##*/}.new"
        mv -f "$2/${file##*/}.new" "$2/${file##*/}"
    done
}

from_cache() {
    local prefix
    cpu_find
    prefix=$cache/llama/$llama_version-r$llama_recipe-$cpu_key
    [ "$1" != --system ] || exit 1
    [ -e "$prefix/lib/libllama.so" ] || die "no llama.cpp for this CPU in $prefix; HINT: run 'make deps'"
    case $1 in
    --cflags) printf '%s\n' "-I$prefix/include" ;;
    # A program finds them in BUILD/lib, from where it is itself: BUILD, BUILD/fuzz, BUILD/tests/e2e.
    # `make install` puts another place for these (chrpath): it may be shorter, not longer. The
    # quotes are for the shell that make starts.
    --libs)
        # shellcheck disable=SC2016
        printf '%s\n' "-L$prefix/lib -Wl,-rpath-link,$prefix/lib"' -Wl,-rpath,'"'"'$ORIGIN/lib:$ORIGIN/../lib:$ORIGIN/../../lib'"'"' -lllama -lggml -lggml-base'
        ;;
    --copy) copy_libraries "$prefix/lib" "${2:?}" ;;
    --prefix) printf '%s\n' "$prefix" ;;
    --libdir) printf '%s\n' "$prefix/lib" ;;
    esac
}

case ${1-} in
--cflags | --libs | --prefix | --libdir | --system | --copy)
    if system_has_one; then from_system "$@"; else from_cache "$@"; fi
    ;;
*) die "say --cflags, --libs, --prefix, --libdir, --system or --copy" ;;
esac
