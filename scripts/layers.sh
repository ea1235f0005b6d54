#!/bin/bash
# What scripts/layers.mk says, for shell scripts:
# layers.sh rooms | programs | may ROOM | never [PREFIX].
set -u
table=$(dirname "$0")/layers.mk
value() { sed -n "s#^$1 *:= *##p" "$table"; }
case ${1:-} in
rooms) value rooms ;;
programs) value processes | sed -E 's/[a-z]+/sluice-&/g' ;;
may) value "may_$2" ;;
never) if [ $# -eq 1 ]; then value never; else value "never_$2"; fi ;;
*) echo "layers.sh: say rooms, programs, may ROOM or never [PREFIX]" >&2; exit 2 ;;
esac
