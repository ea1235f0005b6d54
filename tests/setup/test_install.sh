#!/bin/bash
# make install: programs run from where they were put, with the libraries that were put beside them.
# shellcheck source=tests/setup/check.sh
. "$(dirname "$0")/check.sh"
build=${BUILD:-build}

installed() { scripts/install.sh install "$build" "$work/staged" /usr; }
check install installed
mv "$work/staged/usr" "$work/moved"
check all_programs_run "$work/moved/bin/sluice" --version
for program in capture broker sink trainer; do
    check "sluice-$program" "$work/moved/bin/sluice-$program" --version
done
nothing_of_the_cache() {
    local found
    scripts/llama.sh --system && return 0
    found=$(ldd "$work/moved/bin/sluice-capture" | grep -E 'libllama|libggml')
    echo "$found"
    [ "$(grep -c "$work/moved/" <<<"$found")" -ge 3 ] && ! grep -v "$work/moved/" <<<"$found"
}
check libraries_are_those_beside_it nothing_of_the_cache
no_path_of_the_builder() {
    ! chrpath -l "$work/moved/bin/sluice" 2>/dev/null | grep -F "$HOME"
}
check no_folder_of_the_builder no_path_of_the_builder
mkdir -p "$work/staged" && mv "$work/moved" "$work/staged/usr"
touch "$work/staged/usr/bin/other"
check uninstall scripts/install.sh uninstall "$build" "$work/staged" /usr
left() { [ "$(find "$work/staged" -type f)" = "$work/staged/usr/bin/other" ]; }
check only_others_files_are_left left
check prefix_is_absolute fails_saying "slash" scripts/install.sh install "$build" "" usr
finish
