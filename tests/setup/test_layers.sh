#!/bin/bash
# scripts/check_layers.sh and scripts/lint.sh see what they are there to see.
# shellcheck source=tests/setup/check.sh
. "$(dirname "$0")/check.sh"

# layers FILE INCLUDE: a tree of one file with one include.
layers() {
    rm -rf "$work/tree"
    mkdir -p "$work/tree/${1%/*}"
    printf '#include %s\n' "$2" >"$work/tree/$1"
    scripts/check_layers.sh "$work/tree"
}
check the_tree_is_in_order scripts/check_layers.sh
check a_room_may_include_itself layers proto/frame.c '"proto/frame.h"'
check a_room_may_include_below layers buffer/store.c '"proto/frame.h"'
check not_above fails_saying "proto/ may not include runtime/" layers proto/frame.c '"runtime/log.h"'
check one_header_of_a_room layers broker/main.c '"wiring/link.h"'
check no_other_of_it fails_saying "broker/ may not include wiring/" layers broker/main.c '"wiring/source.h"'
check no_exemption_for_check fails_saying "cli/ may not include capture/" layers cli/probe.c '"capture/source.h"'
check not_beside fails_saying "sae/ may not include buffer/" layers sae/sae.c '"buffer/draw.h"'
check tests_are_not_for_programs fails_saying "may not include tests/" \
    layers sink/main.c '"tests/unit/buffer/rig.h"'
check inside_a_room fails_saying "sae/cpu/* never includes sae/export/fold.h" \
    layers sae/cpu/rows.c '"sae/export/fold.h"'
check options_stand_below fails_saying "sae/options.* never includes sae/encoder.h" \
    layers sae/options.c '"sae/encoder.h"'
check from_the_root fails_saying "from the root" layers proto/frame.c '"frame.h"'
check indented_too fails_saying "may not include" layers base/err.c ' "proto/frame.h"'
check foreign_where_it_belongs layers runtime/link.c '<zmq.h>'
check foreign_elsewhere fails_saying "may only be in runtime/" layers sink/main.c '<zmq.h>'
check foreign_and_unknown fails_saying "not in the table" layers sae/sae.c '<mkl.h>'
check system_headers layers base/fileio.c '<sys/stat.h>'
mkdir -p "$work/empty"
check an_empty_tree_is_wrong fails_saying "no C file" scripts/check_layers.sh "$work/empty"

# lint TEXT: a repository of one file with that text.
lint() {
    rm -rf "$work/repository"
    git init -q "$work/repository"
    echo "$1" >"$work/repository/note.md"
    git -C "$work/repository" add note.md
    scripts/lint.sh "$work/repository"
}
# comment TEXT: a repository of one C file with that comment.
comment() {
    rm -rf "$work/repository"
    git init -q "$work/repository"
    printf '%s\n' "$1" >"$work/repository/a.c"
    git -C "$work/repository" add a.c
    scripts/lint.sh "$work/repository"
}
check a_comment_ends_behind_its_text comment $'/* one\n * two */'
check a_block_ends_on_its_own comment $'/*\n * one\n */'
check no_end_alone fails_saying "a.c:2: the end of a comment alone" comment $'/* one\n */'
check clean_text lint "see docs/SETUP.md and /usr/share/doc"
check a_home_folder fails_saying "folder of one machine" lint "cd /ho""me/somebody/sluice"
check this_clone fails_saying "folder of this clone" lint "cd $work/repository/ && make"
finish
