#!/bin/bash
# Fails where a folder includes a header of a folder that it may not know, or a foreign library's
# header outside the files that are meant to hold that library: check_layers.sh [ROOT]
# The tables, here and in layers.mk, are the design; a change there is a change of the design.
set -eu
own=$(cd "$(dirname "$0")" && pwd)
cd "${1:-$own/..}"

rooms=$("$own/layers.sh" rooms)
declare -A may
for room in $rooms; do may[$room]=$("$own/layers.sh" may "$room"); done

declare -A never
for prefix in $("$own/layers.sh" never); do never[$prefix]=$("$own/layers.sh" never "$prefix"); done

# The files (a glob) that may include a header which is not the C library's, the kernel's or the
# compiler's.
may_hold() {
    case $1 in
    jansson.h) echo '*' ;;
    xxhash.h) echo '@(@(proto|buffer|engine|sae)/*|trainer/@(held_out|aged).c|broker/history_file.c)' ;;
    lz4.h) echo 'proto/*' ;;
    lmdb.h) echo 'buffer/*' ;;
    zmq.h) echo 'runtime/@(link|curve|keys|zap|inner|monitor).c' ;;
    sanitizer/tsan_interface.h) echo 'runtime/link.c' ;;
    uv.h) echo 'runtime/*' ;;
    microhttpd.h) echo 'runtime/@(http|http_stream).c' ;;
    yaml.h) echo 'config/@(yaml|merge).[ch]' ;;
    llama.h | ggml*.h | gguf.h) echo '@(engine/llama*|tap/*).[ch]' ;;
    cblas.h) echo 'sae/cpu/blas.c' ;;
    zlib.h) echo '@(engine/unpack_*|inspect/deflate).c' ;;
    zstd.h | zstd_errors.h | bzlib.h | lzma.h) echo 'engine/unpack_*.c' ;;
    zip.h) echo 'engine/npz.c' ;;
    isa-l/crc.h) echo 'trainer/events.c' ;;
    ncurses.h) echo 'cli/top_terminal.c' ;;
    esac
}

is_of_the_system() {
    case $1 in
    assert.h | complex.h | ctype.h | errno.h | fenv.h | float.h | inttypes.h | iso646.h | limits.h | \
        locale.h | math.h | setjmp.h | signal.h | stdalign.h | stdarg.h | stdatomic.h | stdbool.h | \
        stddef.h | stdint.h | stdio.h | stdlib.h | stdnoreturn.h | string.h | tgmath.h | threads.h | \
        time.h | uchar.h | wchar.h | wctype.h) ;;
    aio.h | alloca.h | dirent.h | dlfcn.h | endian.h | elf.h | err.h | execinfo.h | fcntl.h | fnmatch.h | \
        ftw.h | getopt.h | glob.h | grp.h | ifaddrs.h | langinfo.h | libgen.h | link.h | malloc.h | \
        netdb.h | poll.h | pthread.h | pty.h | pwd.h | regex.h | sched.h | search.h | semaphore.h | \
        spawn.h | strings.h | syslog.h | termios.h | unistd.h) ;;
    sys/*.h | arpa/*.h | net/*.h | netinet/*.h | linux/*.h | asm/*.h) ;;
    immintrin.h | x86intrin.h | cpuid.h) ;;
    *) return 1 ;;
    esac
}

shopt -s extglob
wrong=0
complain() {
    echo "$1"
    wrong=$((wrong + 1))
}

# check_inside FILE LINE HEADER: the rules inside a room.
check_inside() {
    local prefix banned
    for prefix in "${!never[@]}"; do
        [[ $1 == "$prefix"* ]] || continue
        for banned in ${never[$prefix]}; do
            [[ $3 != "$banned"* ]] || complain "$1:$2: $prefix* never includes $3"
        done
    done
}

# check FILE LINE HEADER, where HEADER is as written: "room/file.h" or <file.h>.
check() {
    local file=$1 line=$2 header=$3 room=${1%%/*} name other
    name=${header:1:-1}
    if [ "${header:0:1}" = '"' ]; then
        other=${name%%/*}
        [ "$name" != "$other" ] || complain "$file:$line: write $header from the root"
        case " $room ${may[$room]} gen " in
        *" $other "* | *" $name "*) ;;
        *) complain "$file:$line: $room/ may not include $other/ ($header)" ;;
        esac
        check_inside "$file" "$line" "$name"
        return 0
    fi
    ! is_of_the_system "$name" || return 0
    other=$(may_hold "$name")
    # shellcheck disable=SC2254
    case $file in
    ${other:-nothing}) ;;
    *) complain "$file:$line: $header may only be in ${other:-no file: it is not in the table}" ;;
    esac
}

files=0
for room in $rooms; do
    [ -d "$room" ] || continue
    for file in "$room"/*.[ch] "$room"/*/*.[ch]; do
        [ -e "$file" ] || continue
        files=$((files + 1))
        while IFS=: read -r line header; do
            check "$file" "$line" "$header"
        done < <(sed -n -E '/^[ \t]*#[ \t]*include/{=;s/^[^<"]*([<"][^>"]*[>"]).*/\1/p}' "$file" |
            paste -d: - -)
    done
done
[ $files -gt 0 ] || complain "no C file in $PWD"
[ $wrong -eq 0 ] || { echo "check-layers: $wrong wrong in $files files"; exit 1; }
echo "check-layers: $files files are in order"
