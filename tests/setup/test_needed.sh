#!/bin/bash
# What each program needs to be loaded: broker and sink neither llama.cpp nor OpenBLAS, a trainer no
# llama.cpp (OpenBLAS it loads itself, when it trains). A library that is not on a program's list
# fails, so that a new dependency is a decision.
# shellcheck source=tests/setup/check.sh
. "$(dirname "$0")/check.sh"
build=${BUILD:-build}

libraries='c m pthread dl rt gcc_s stdc++ asan ubsan zmq uv microhttpd jansson yaml-0 lz4 xxhash'
may_need() {
    case $1 in
    broker) echo "$libraries" ;;
    sink) echo "$libraries lmdb" ;;
    trainer) echo "$libraries lmdb protobuf-c isal" ;;
    esac
}

needed() { LC_ALL=C readelf -d "$1" | sed -n -E 's/.*\(NEEDED\).*\[lib(.*)\.so.*\]/\1/p'; }

# only_what_it_may PROGRAM FILE
only_what_it_may() {
    local library found=0
    for library in $(needed "$2"); do
        found=1
        case " $(may_need "$1") " in
        *" $library "*) ;;
        *) echo "sluice-$1 needs lib$library"; return 1 ;;
        esac
    done
    [ $found = 1 ] || { echo "no NEEDED entries in $2"; return 1; }
}

for program in broker sink trainer; do
    check "$program needs what it may" only_what_it_may $program "$build/sluice-$program"
done
# What is loaded into other people's programs: the C library and no more, no name but its own, nothing
# that ends the host or starts a thread in it.
client_needs_c_alone() { ! needed "$build/libsluice.so.1" | grep -vxE 'c|m|asan|ubsan'; }
check "libsluice needs the C library alone" client_needs_c_alone
client_shows_its_own() { ! nm -D --defined-only "$build/libsluice.so.1" | grep -vE ' (T sluice_[a-z_]+|A SLUICE_1)(@@SLUICE_1)?$'; }
check "libsluice shows its own names" client_shows_its_own
client_ends_nothing() { ! nm -D --undefined-only "$build/libsluice.so.1" | grep -wE 'abort|_?exit|__assert_fail|pthread_create|signal|sigaction'; }
check "libsluice ends and starts nothing" client_ends_nothing
# The test sees what it is there to see.
if needed "$build/sluice-capture" | grep -q '^llama$'; then
    check "llama is told of" fails_saying "needs libllama" \
        only_what_it_may broker "$build/sluice-capture"
fi
check "lmdb is not the broker's" fails_saying "needs liblmdb" \
    only_what_it_may broker "$build/sluice-sink"
finish
