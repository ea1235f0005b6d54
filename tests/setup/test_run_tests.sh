#!/bin/bash
# scripts/run_tests.sh counts right: what dies, hangs or says nothing has failed. Programs run at once
# unless they must not, and what each says stays in one piece.
# shellcheck source=tests/setup/check.sh
. "$(dirname "$0")/check.sh"
export BUILD=$work

# script NAME BODY: a test program.
script() {
    printf '#!/bin/bash\n%s\n' "$2" >"$work/$1"
    chmod +x "$work/$1"
}
run() { TEST_SECONDS=60 scripts/run_tests.sh "${@/#/$work/}"; }
run_for_a_second() { TEST_SECONDS=1 scripts/run_tests.sh "${@/#/$work/}"; }

cmocka_case() { printf 'echo "[ RUN      ] %s"; echo "[  %s ] %s"\n' "$2" "$1" "$2"; }
script good "$(cmocka_case '     OK' one; cmocka_case '     OK' two)"
script half "$(cmocka_case '     OK' one; cmocka_case 'FAILED ' two); exit 1"
script skips "$(cmocka_case '     OK' one; cmocka_case 'SKIPPED' two)"
script dies "$(cmocka_case '     OK' one); echo '[ RUN      ] two'; kill -SEGV \$\$"
script hangs 'sleep 20'
script silent 'true'
script late_failure "$(cmocka_case '     OK' one); exit 3"
script ours 'echo "ok a"; echo "ok b"'

check good says '2 passed, 0 failed' run good
check plain_script says '2 passed, 0 failed' run ours
check a_failure fails_saying '1 passed, 1 failed' run half
check a_skip says '1 passed, 0 failed, 1 skipped' run skips
check death fails_saying '1 passed, 1 failed' run dies
check hanging fails_saying '0 passed, 1 failed' run_for_a_second hangs
check silence fails_saying '0 passed, 1 failed' run silent
check failure_after_the_cases fails_saying '1 passed, 1 failed' run late_failure
check sums fails_saying '6 passed, 2 failed' run good half dies ours
script chosen "$(cmocka_case '     OK' one); [ \"\$1\" = two ] && $(cmocka_case '     OK' two)"
check cases_of_a_program says '2 passed, 0 failed' run chosen:two
check no_test_is_a_failure fails_saying '0 passed, 0 failed' run

# Two that wait for each other need two at once; a third says whether another runs beside it.
for i in 1 2; do
    other=$((3 - i))
    script meets_$i "touch $work/came_$i; until [ -e $work/came_$other ]; do sleep 0.02; done
        touch $work/met_$i; until [ -e $work/met_$other ]; do sleep 0.02; done
        sleep 0.3; rm -f $work/came_$i; echo 'ok met'"
done
script is_alone "for n in {1..50}; do
        compgen -G '$work/came_*' >/dev/null && { echo 'not ok alone'; exit 1; }
        sleep 0.02
    done; echo 'ok alone'"
at_once() {
    rm -f "$work"/came_* "$work"/met_*
    TEST_JOBS=$1 TEST_SECONDS=$2 scripts/run_tests.sh "${@:3}"
}
pair=("$work/meets_1" "$work/meets_2")
check two_at_once says '2 passed, 0 failed' at_once 2 60 "${pair[@]}"
check one_at_a_time fails_saying '0 passed, 2 failed' at_once 1 1 "${pair[@]}"
check not_alone_by_itself fails_saying 'failed: '"$work/is_alone" at_once 3 60 "${pair[@]}" "$work/is_alone"
echo "$work/is_alone: it says so" >"$work/list"
echo "$work/$work/is_alone: with this build it says so" >"$work/list_of_build"
as_listed_for_the_build() { TEST_ALONE=$work/list_of_build at_once "$@"; }
as_listed() { TEST_ALONE=$work/list at_once "$@"; }
check what_the_list_names_runs_alone says '3 passed, 0 failed' as_listed 3 60 "$work/is_alone" "${pair[@]}"
check or_names_for_this_build says '3 passed, 0 failed' \
    as_listed_for_the_build 3 60 "$work/is_alone" "${pair[@]}"

# Which test failed, and what it said, whatever others say meanwhile.
for i in 1 2; do
    script slow_failure_$i "for n in {1..40}; do echo \"$i says \$n\"; sleep 0.01; done; echo 'not ok $i'"
done
in_one_piece() {
    local said
    said=$(TEST_JOBS=2 TEST_SECONDS=60 scripts/run_tests.sh "$work"/slow_failure_{1,2} "$work/good")
    grep -qxF "failed: $(grep -o "$work/slow_failure_." <<<"$said" | awk '!seen[$0]++' | paste -sd' ')" <<<"$said" ||
        { echo "$said"; return 1; }
    grep -qx '2 passed, 2 failed' <<<"$said" || { echo "$said"; return 1; }
    # 40 lines of the one, then 40 of the other
    said=$(grep -o '[12] says [0-9]*$' <<<"$said" | cut -c1 | uniq -c | awk '{ print $1 }' | paste -sd' ')
    [ "$said" = '40 40' ] || { echo "pieces: $said"; return 1; }
}
check what_each_says_is_in_one_piece in_one_piece

script works 'for ((i = 0; i < 150000; i++)); do :; done; echo "ok a"'
script sleeps 'sleep 0.5; echo "ok a"'
seconds_of() { TEST_SECONDS=60 scripts/run_tests.sh "$1" | sed -n -E 's/^ok .* cases +([0-9.]+) s +([0-9.]+) s of processor$/\1 \2/p'; }
tells_seconds() {
    local wall processor
    read -r wall processor < <(seconds_of "$work/works")
    awk -v p="$processor" 'BEGIN { exit !(p > 0.1) }' || { echo "working: $wall $processor"; return 1; }
    read -r wall processor < <(seconds_of "$work/sleeps")
    awk -v w="$wall" -v p="$processor" 'BEGIN { exit !(w >= 0.5 && p < 0.4) }' || { echo "sleeping: $wall $processor"; return 1; }
}
check seconds_of_wall_and_processor tells_seconds
for i in {1..10}; do script quick_$i 'echo "ok a"'; done
slowest_first() {
    local said seconds
    said=$(TEST_SECONDS=60 scripts/run_tests.sh "$work"/quick_{1..10} "$work/sleeps" | sed -n '/^the slowest/,$p')
    seconds=$(sed -n -E 's/.* cases +([0-9.]+) s .*/\1/p' <<<"$said")
    [ "$(wc -w <<<"$seconds")" -eq 10 ] && sort -rnc <<<"$seconds" && grep -qF "$work/sleeps" <<<"$said" && return
    echo "$said"
    return 1
}
check the_ten_slowest_are_told slowest_first

script stays "echo \$\$ >$work/pid; exec sleep 20"
stops_its_tests() {
    local runner
    scripts/run_tests.sh "$work/stays" >"$work/said" &
    runner=$!
    until [ -s "$work/pid" ]; do sleep 0.02; done
    kill $runner
    wait $runner && return 1
    sleep 0.2
    ! kill -0 "$(<"$work/pid")" 2>/dev/null && grep -qF "stopped amid $work/stays" "$work/said"
}
check stopped_with_its_tests stops_its_tests

listed_tests_are_there() {
    local name reason
    while IFS=: read -r name reason; do
        case $name in '' | '#'*) continue ;; esac
        name=${name#build-*san/}
        [ -n "$reason" ] || { echo "$name: no reason"; return 1; }
        [ -e "tests/unit/$name.c" ] || [ -e "tests/$name.c" ] || [ -e "$name" ] ||
            { echo "tests/alone.txt: there is no $name"; return 1; }
    done <tests/alone.txt
}
check the_list_names_tests_that_are_there listed_tests_are_there

# Under ThreadSanitizer a race fails the run, also that of a process which was killed after it.
cat >"$work/race.c" <<'END'
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
static int shared;
static void *add(void *arg)
{
    for (int i = 0; i < 1000; i++) shared++;
    return arg;
}
int main(int argc, char **argv)
{
    pthread_t thread;
    pthread_create(&thread, NULL, add, NULL);
    for (int i = 0; i < 1000; i++) shared++;
    pthread_join(thread, NULL);
    puts("ok a");
    fflush(stdout);
    if (argc > 1) raise(SIGKILL);
    return argv == NULL;
}
END
tsan() { BUILD=$(realpath --relative-to=. "$work") scripts/run_tsan.sh "${@/#/$work/}"; }
${CC:-gcc} -fsanitize=thread -g "$work/race.c" -o "$work/races" -lpthread
script hides "$work/races killed; echo 'ok b'"
check no_race says '2 passed, 0 failed' tsan good
check a_race fails_saying "data race $work/race.c" tsan races
check a_race_of_a_process_that_was_killed fails_saying "data race $work/race.c" tsan hides
finish
