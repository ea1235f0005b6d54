#!/bin/bash
# clang-format of the one version that .clang-format was written for: format.sh ARGUMENT...
set -eu
for tool in clang-format-14 clang-format; do
    command -v $tool >/dev/null || continue
    case $($tool --version) in *"version 14."*) exec $tool "$@" ;; esac
done
echo "format.sh: no clang-format 14 here; HINT: run 'make deps'" >&2
exit 1
