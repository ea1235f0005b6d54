#!/bin/bash
# What a build makes again, and what it needs: in a copy of the tree with one room's objects.
# shellcheck source=tests/setup/check.sh
. "$(dirname "$0")/check.sh"
git ls-files -co --exclude-standard | tar -c --files-from=- 2>/dev/null | tar -x -C "$work"
archive=build/libbase.a
unset MAKEFLAGS MAKELEVEL BUILD CC CFLAGS
in_copy() { (cd "$work" && make "$@"); }
# Whether make, with these arguments, compiles something.
compiles() { in_copy build/libbase.a "$@" | grep -- ' -c base/' >/dev/null; }
compiles_nothing() { ! compiles "$@"; }

compiles_with() { # COMPILER MAKE'S ARGUMENTS
    local compiler=$1
    shift
    in_copy -n -B build/base/err.o "$@" | grep -q "^$compiler -std=c11"
}
check gcc_is_the_compiler compiles_with gcc
check another_is_taken compiles_with clang CC=clang

# A home without llama.cpp.
without_llama() { HOME=$work/nobody XDG_CACHE_HOME=$work/nobody in_copy -s "$@"; }
check base_needs_no_llama without_llama build/tests/base/test_fileio
check nor_does_its_test "$work/build/tests/base/test_fileio"
check the_engine_does fails_saying "make deps" without_llama build/tests/engine/test_sniff

check nothing_is_made_twice compiles_nothing
check another_optimization compiles OPT=-O1
check and_not_again compiles_nothing OPT=-O1
check another_version compiles VERSION=9.9
check other_warnings compiles WARN=-Wall
check a_sanitizer compiles SAN=-fsanitize=undefined

gone() {
    echo 'int extra(void); int extra(void) { return 1; }' >"$work/base/extra.c"
    in_copy -s $archive && ar t "$work/$archive" | grep -q '^extra.o$' || return 1
    rm "$work/base/extra.c"
    in_copy -s $archive && ! ar t "$work/$archive" | grep '^extra.o$'
}
check a_deleted_source_leaves_its_archive gone

check one_test in_copy check T=base/test_fileio
check a_test_that_is_not_there fails_saying "say T=ONE of" in_copy check T=base/test_nothing
check its_likes_are_named fails_saying "sink/test_desk" in_copy check T=desk
finish
