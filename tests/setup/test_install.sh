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
# A program of somebody else: it finds library and header by pkg-config.
cat >"$work/host.c" <<'EOF'
#include <sluice.h>
#include <stdio.h>
int main(int argc, char **argv)
{
    struct sluice_hook hook = {"resid_post.1", 4};
    struct sluice_options options = {.size = sizeof options, .stream = "live", .hooks = &hook,
                                     .hooks_count = 1, .folder = argv[argc - 1], .ring_bytes = 1 << 16};
    struct sluice *stream;
    struct sluice_row row = {0, 0, 7, 0, 0};
    float values[4] = {1, 2, 3, 4};
    if (sluice_open(&options, &stream) != SLUICE_OK) return puts(sluice_error());
    row.sequence = sluice_sequence(stream);
    printf("%u row was taken\n", sluice_put(stream, 1, &row, values));
    sluice_close(stream);
    return 0;
}
EOF
pkg() { PKG_CONFIG_PATH="$work/moved/lib/pkgconfig" pkg-config --define-variable=prefix="$work/moved" "$@" sluice; }
a_program_links_libsluice() {
    # shellcheck disable=SC2046
    gcc -std=c11 -Wall -Wextra -Werror "$work/host.c" $(pkg --cflags --libs) -o "$work/host" &&
        mkdir -m 700 "$work/rings" &&
        LD_LIBRARY_PATH="$work/moved/lib" "$work/host" "$work/rings" | grep -x "1 row was taken"
}
check a_program_links_libsluice a_program_links_libsluice
a_header_for_others() {
    local language
    for language in c c++; do
        echo '#include <sluice.h>' | gcc -x "$language" -Wall -Wextra -Wpedantic -Werror -fsyntax-only \
            "-I$work/moved/include" - || return 1
    done
}
check header_is_of_c_and_cpp a_header_for_others
mkdir -p "$work/staged" && mv "$work/moved" "$work/staged/usr"
touch "$work/staged/usr/bin/other"
check uninstall scripts/install.sh uninstall "$build" "$work/staged" /usr
left() { [ "$(find "$work/staged" -type f)" = "$work/staged/usr/bin/other" ]; }
check only_others_files_are_left left
check prefix_is_absolute fails_saying "slash" scripts/install.sh install "$build" "" usr
finish
