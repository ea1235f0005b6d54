/* llama.cpp is asked for a model alone where there is room for it. Each try has a process of its
 * own, since a limit once lowered stays. */
#include "engine/llama_room.h"

#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 }; /* their shadow takes terabytes of address space */
#else
enum { SANITIZED = 0 };
#endif

static char path[] = "/tmp/sluice-room-XXXXXX";

/* With `mib` of address space in all: 0 room, 1 none and the text says so, else something else. */
static int room_within(unsigned long mib, uint32_t threads)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct rlimit limit = {mib << 20, mib << 20};
        if (setrlimit(RLIMIT_AS, &limit) != 0) _exit(9);
        int code = llama_room_check(path, threads);
        if (code == ERR_OK) _exit(0);
        _exit(code == ERR_NOMEM && strstr(err_text(), "ulimit -v") ? 1 : 2);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void a_model_needs_room_for_its_file(void **state)
{
    (void)state;
    if (SANITIZED) skip();
    assert_int_equal(room_within(2000, 2), 0);
    assert_int_equal(room_within(1100, 2), 1); /* the file, but nothing beside it */
    assert_int_equal(room_within(500, 2), 1);
    assert_int_equal(llama_room_check("/nowhere", 1), ERR_OK); /* the loader's to tell */
    assert_int_equal(llama_room_check(path, 2), ERR_OK);
}

static int set_up(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    if (fd < 0) return -1;
    int failed = ftruncate(fd, 1 << 30); /* a hole */
    close(fd);
    return failed;
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_needs_room_for_its_file),
    };
    return cmocka_run_group_tests_name("llama_room", tests, set_up, tear_down);
}
