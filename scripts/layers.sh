#!/bin/bash
# What scripts/layers.mk says, for shell scripts: layers.sh rooms | programs | may ROOM.
set -u
table=$(dirname "$0")/layers.mk
value() { sed -n "s#^$1 *:= *##p" "$table"; }
case ${1:-} in
rooms) value rooms ;;
programs) value processes | sed -E 's/[a-z]+/sluice-&/g' ;;
may) value "may_$2" ;;
*) echo "layers.sh: say rooms, programs or may ROOM" >&2; exit 2 ;;
esac
