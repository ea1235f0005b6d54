#!/bin/bash
# units.sh PREFIX DIR: writes the units as they are installed, with the paths of PREFIX and with the
# lines of hardening.conf, into DIR.
set -euo pipefail
prefix=$1 to=$2
from=$(dirname "$0")
mkdir -p "$to"
for unit in "$from"/*.service.in; do
    name=${unit##*/}
    sed -e "s|@PREFIX@|$prefix|g" -e "/^@HARDENING@$/{
        r $from/hardening.conf
        d
        }" "$unit" >"$to/${name%.in}"
done
