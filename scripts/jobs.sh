# shellcheck shell=bash
# Several children at once, each told when it ends and in one piece. Sourced: the script that does so
# starts a child, writes running[PID]=NAME, and has a function `end NAME STATUS`, which counts and tells
# it. Signals that end the script end its children.
declare -A running=()

# Waits until fewer than so many run.
until_fewer_than() {
    local pid status name
    while [ ${#running[@]} -ge "$1" ]; do
        wait -n -p pid "${!running[@]}"
        status=$?
        name=${running[$pid]}
        unset "running[$pid]"
        end "$name" $status
    done
}

stop() {
    trap '' INT TERM
    [ ${#running[@]} -eq 0 ] || kill "${!running[@]}" 2>/dev/null
    wait
    echo "${0##*/}: stopped amid ${running[*]:-nothing}"
    exit 1
}
trap stop INT TERM
