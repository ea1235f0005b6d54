#!/bin/bash
# install.sh install|uninstall BUILD DESTDIR PREFIX
# Programs, pages of the manual, units for systemd, configurations and documents; and, unless the
# system's llama.cpp is used, its libraries beside them in PREFIX/lib/sluice, where the installed programs look for them.
set -euo pipefail
cd "$(dirname "$0")/.."
action=$1 build=$2 prefix=$4
# Installed programs find their libraries from where they are themselves, so that a tree which was
# staged under DESTDIR can be moved.
to=$3$prefix
programs="sluice $(scripts/layers.sh programs)"
case $prefix in /*) ;; *) echo "install.sh: PREFIX must begin with a slash" >&2; exit 2 ;; esac

put() { install -D -m "$1" "$2" "$3"; }

install_libraries() {
    local from name file
    from=$(scripts/llama.sh --libdir)
    for name in libllama libggml libggml-base libggml-cpu; do
        # Under the name that the loader asks for.
        for file in "$from/$name".so.[0-9]; do
            put 644 "$file" "$to/lib/sluice/${file##*/}"
        done
    done
    from=$(scripts/llama.sh --prefix)
    put 644 "$from/LICENSE.md" "$to/share/doc/sluice/LICENSE.llama-cpp-python"
    put 644 "$from/LICENSE.llama.cpp" "$to/share/doc/sluice/LICENSE.llama.cpp"
}

# libsluice, for programs that hand over rows.
install_client() {
    put 644 "$build/libsluice.so.1" "$to/lib/libsluice.so.1"
    ln -sf libsluice.so.1 "$to/lib/libsluice.so"
    put 644 client/sluice.h "$to/include/sluice.h"
    mkdir -p "$to/lib/pkgconfig"
    sed -e "s|@PREFIX@|$prefix|" -e "s|@VERSION@|$("$build/sluice" --version | grep -oE '[0-9.]+$')|" \
        client/sluice.pc.in >"$to/lib/pkgconfig/sluice.pc"
}

# Units for systemd, and the user that they run as. systemd looks below /usr and /usr/local.
install_units() {
    local made file
    made=$(mktemp -d)
    packaging/systemd/units.sh "$prefix" "$made"
    for file in "$made"/*.service; do
        put 644 "$file" "$to/lib/systemd/system/${file##*/}"
    done
    rm -r "$made"
    put 644 packaging/systemd/sluice.sysusers "$to/lib/sysusers.d/sluice.conf"
}

install_all() {
    local program file
    # What `sluice tap` puts in front of other programs.
    for file in libsluice-tap.so libsluice-audit.so; do
        put 644 "$build/$file" "$to/lib/sluice/$file"
    done
    for program in $programs; do
        put 755 "$build/$program" "$to/bin/$program"
        if ! scripts/llama.sh --system && chrpath -l "$to/bin/$program" >/dev/null 2>&1; then
            # shellcheck disable=SC2016
            chrpath -r '$ORIGIN/../lib/sluice' "$to/bin/$program" >/dev/null
        fi
    done
    scripts/llama.sh --system || install_libraries
    install_client
    install_units
    for file in man/*.1; do
        [ ! -e "$file" ] || put 644 "$file" "$to/share/man/man1/${file##*/}"
    done
    for file in configs/* configs/ops/*; do
        [ ! -f "$file" ] || put 644 "$file" "$to/share/sluice/$file"
    done
    # All in one folder: the README is the tree's, not that of docs/.
    for file in LICENSE CHANGELOG.md docs/*.md proto/PROTOCOL.md README.md; do
        [ ! -e "$file" ] || put 644 "$file" "$to/share/doc/sluice/${file##*/}"
    done
}

uninstall_all() {
    local program
    for program in $programs; do
        rm -f "$to/bin/$program" "$to"/share/man/man1/"$program".1
    done
    rm -f "$to"/lib/libsluice.so "$to"/lib/libsluice.so.1 "$to/include/sluice.h" \
        "$to/lib/pkgconfig/sluice.pc" \
        "$to/lib/sysusers.d/sluice.conf" "$to"/lib/systemd/system/sluice@.service \
        "$to"/lib/systemd/system/sluice-*@.service
    rm -rf "$to/lib/sluice" "$to/share/sluice" "$to/share/doc/sluice"
}

case $action in
install) install_all && echo "installed into $to" ;;
uninstall) uninstall_all && echo "removed from $to" ;;
*) echo "install.sh: say install or uninstall" >&2; exit 2 ;;
esac
