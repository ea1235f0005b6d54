#!/bin/bash
# Prints the folder of the programs prometheus and promtool, which tests run: the system's, or those
# that --fetch has put into the user's cache. Debian's package is unpacked and not installed: installing
# it starts a server, and keeps it running.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/common.sh
. scripts/common.sh

place=$cache/prometheus

has_both() { [ -x "$1/prometheus" ] && [ -x "$1/promtool" ]; }

download() { (cd "$work" && apt-get download -q prometheus >&2); }

fetch() {
    command -v apt-get >/dev/null ||
        die "this is not Debian; HINT: install Prometheus so that prometheus and promtool are in PATH"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    if ! download; then
        # The list of packages may be old, or not there.
        [ "$(id -u)" -ne 0 ] || apt-get update -q >&2
        download || die "prometheus was not fetched; HINT: run 'apt-get update' as root, then again"
    fi
    dpkg-deb -x "$work"/prometheus_*.deb "$work/unpacked"
    has_both "$work/unpacked/usr/bin" || die "the package prometheus has other programs than it had"
    "$work/unpacked/usr/bin/promtool" --version >/dev/null 2>&1 || die "promtool does not run here"
    mkdir -p "${place%/*}"
    rm -rf "$place.new"
    mkdir "$place.new"
    mv "$work"/unpacked/usr/bin/prom* "$place.new/"
    rm -rf "$place"
    mv -T "$place.new" "$place"
    say "deps: Prometheus is in $place"
}

found=$(command -v promtool || true)
if [ -n "$found" ] && has_both "${found%/*}"; then
    place=${found%/*}
elif ! has_both "$place"; then
    [ "${1:-}" = --fetch ] || die "there is no Prometheus; HINT: run 'make deps'"
    fetch
fi
echo "$place"
