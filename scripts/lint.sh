#!/bin/bash
# Fails where a committed file names a folder of the machine that it was written on, where the end of
# a comment stands alone, or where a script has something in it that shellcheck complains of:
# lint.sh [ROOT]
set -eu
cd "${1:-$(dirname "$0")/..}"
wrong=0

# Homes and working folders, where a path begins. They are put together here so that this file does
# not hold them.
here=$(pwd -P)
homes='(^|[^A-Za-z0-9_$}./-])(/ro''ot/|/ho''me/[a-z]{2,}|/Us''ers/|/wo''rk/)'
# The home of "you", in a text's examples, is nobody's.
if git grep -n -I -E "$homes" -- . ':!LICENSE' | grep -v -F '/ho''me/you/'; then
    echo "lint: these name a folder of one machine"
    wrong=1
fi
if [ ${#here} -gt 8 ] && git grep -n -I -F "$here/" -- .; then
    echo "lint: these name the folder of this clone"
    wrong=1
fi
# A comment that begins with text ends behind its text, not on a line of its own.
mapfile -t c_files < <(git ls-files '*.c' '*.h')
if [ ${#c_files[@]} -gt 0 ] && ! awk '
    FNR == 1 { begun = 0 }
    /\/\* [^ ]/ && !/\*\// { begun = 1 }
    /^[ \t]*\/\*$/ { begun = 0 }
    begun && /^[ \t]*\*\/$/ { print FILENAME ":" FNR ": the end of a comment alone on a line"; found = 1 }
    /\*\// { begun = 0 }
    END { exit found }' "${c_files[@]}"; then
    wrong=1
fi
mapfile -t shell_files < <(git ls-files '*.sh' .ci/run)
if command -v shellcheck >/dev/null && [ ${#shell_files[@]} -gt 0 ]; then
    shellcheck -x -S warning "${shell_files[@]}" || wrong=1
fi
[ $wrong -eq 0 ] || exit 1
echo "lint: in order"
