#!/bin/bash
# Which llama.cpp is used, and what is built for which CPU.
# shellcheck source=tests/setup/check.sh
. "$(dirname "$0")/check.sh"
# shellcheck source=scripts/common.sh
. scripts/common.sh

check says_what_to_do_without_one fails_saying "run 'make deps'" \
    env PKG_CONFIG_PATH= PKG_CONFIG_LIBDIR="$work" XDG_CACHE_HOME="$work/empty" scripts/llama.sh --libs
check refuses_an_unknown_question fails_saying "--cflags" scripts/llama.sh --flags

# system_llama VERSION QUESTION: with a llama.pc of that version in sight, and nothing in the cache.
system_llama() {
    printf '%s\n' 'prefix=/opt/llama' 'libdir=/opt/llama/lib' 'Name: llama' 'Description: fake' \
        "Version: $1" "Libs: -L\${libdir} -lllama" "Cflags: -I\${prefix}/include" >"$work/llama.pc"
    PKG_CONFIG_PATH='' PKG_CONFIG_LIBDIR=$work XDG_CACHE_HOME=$work/empty scripts/llama.sh "$2"
}
check takes_the_systems says "-I/opt/llama/include" system_llama 0.5.3 --cflags
check finds_the_systems_at_run_time says "-Wl,-rpath,/opt/llama/lib" system_llama 0.5.3 --libs
check leaves_an_unknown_version fails_saying "run 'make deps'" system_llama 0.4.1 --cflags
check takes_a_development_version says "-lllama" system_llama 0.5.0-dev --libs

# key_of FLAG...: what the cache's key and the options would be on a CPU with these flags.
key_of() {
    printf 'processor : 0\nflags : %s\nbugs : none\n' "$*" >"$work/cpuinfo"
    HOSTTYPE=x86_64
    cpu_find "$work/cpuinfo"
    echo "$cpu_key $cpu_options"
}
old='fpu sse4_2 avx f16c fma'
new="$old avx2 bmi2 avx512f avx512cd avx512bw avx512dq avx512vl avx512vbmi avx512_vnni avx512_bf16"
check old_cpu_gets_no_avx2 says "-DGGML_AVX2=OFF" key_of $old
check old_cpu_gets_no_avx512 says "-DGGML_AVX512=OFF" key_of $old
check new_cpu_gets_avx512 says "-DGGML_AVX512_VBMI=ON" key_of $new
check half_of_avx512_is_none says "-DGGML_AVX512=OFF" key_of $old avx2 avx512f
check amx_stays_off says "-DGGML_AMX_TILE=OFF" key_of $new amx_tile amx_bf16 amx_int8
check native_stays_off says "-DGGML_NATIVE=OFF" key_of $new
differ() { [ "$(key_of $old | cut -d' ' -f1)" != "$(key_of $new | cut -d' ' -f1)" ]; }
check cpus_do_not_share_a_build differ
finish
