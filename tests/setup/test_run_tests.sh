#!/bin/bash
# scripts/run_tests.sh counts right: what dies, hangs or says nothing has failed.
# shellcheck source=tests/setup/check.sh
. "$(dirname "$0")/check.sh"
export BUILD=$work

# script NAME BODY: a test program.
script() {
    printf '#!/bin/bash\n%s\n' "$2" >"$work/$1"
    chmod +x "$work/$1"
}
run() { TEST_SECONDS=1 scripts/run_tests.sh "${@/#/$work/}"; }

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
check hanging fails_saying '0 passed, 1 failed' run hangs
check silence fails_saying '0 passed, 1 failed' run silent
check failure_after_the_cases fails_saying '1 passed, 1 failed' run late_failure
check sums fails_saying '6 passed, 2 failed' run good half dies ours
script chosen "$(cmocka_case '     OK' one); [ \"\$1\" = two ] && $(cmocka_case '     OK' two)"
check cases_of_a_program says '2 passed, 0 failed' run chosen:two
check no_test_is_a_failure fails_saying '0 passed, 0 failed' run

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
