/* Which folders are streams, and which are passed over. */
#include "base/err.h"
#include "base/fileio.h"
#include "cli/streams.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64];
static struct streams streams;

static void make(const char *folder, mode_t mode)
{
    char path[256];
    snprintf(path, sizeof path, "%s/sluice/%s", dir, folder);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void put(const char *file, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/sluice/%s", dir, file);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

static const struct stream_found *found(const char *name)
{
    for (int i = 0; i < streams.count; i++)
        if (strcmp(streams.found[i].config->stream.name, name) == 0) return &streams.found[i];
    fail_msg("no stream %s", name);
    return NULL;
}

static void none_where_nothing_is(void **state)
{
    (void)state;
    assert_int_equal(streams_find(&streams), ERR_OK);
    assert_int_equal(streams.count, 0);
    streams_free(&streams);
}

static void only_our_own_are_found(void **state)
{
    (void)state;
    char link[256], target[256];
    make("", 0700);
    make("good", 0700);
    put("good/sluice.run", "sluice-run 1\nstream good\n\nwords\n");
    make("good/main", 0700);
    put("good/main/sluice.run", "sluice-run 1\nstream good\nconsumer main\n");
    make("good/other", 0700); /* somebody's */
    put("good/other/sluice.run", "sluice-run 1\nstream bad\nconsumer other\n");
    put("good/lock", "999999999\n"); /* of a process that is dead */
    make("good/http", 0700);
    put("good/http/broker", "127.0.0.1:4711\n");
    make("empty", 0700);
    make("renamed", 0700);
    put("renamed/sluice.run", "sluice-run 1\nstream good\n");
    make("newer", 0700);
    put("newer/sluice.run", "sluice-run 2\nstream newer\n");
    make("consumer", 0700);
    put("consumer/sluice.run", "sluice-run 1\nstream consumer\nconsumer consumer\n");
    make("open", 0777);
    put("open/sluice.run", "sluice-run 1\nstream open\n");
    make("a b", 0700);
    put("a b/sluice.run", "sluice-run 1\nstream a b\n");
    make("odd", 0700);
    put("odd/sluice.run", "\1\2\3 not a marker \n");
    make("huge", 0700);
    char *words = calloc(1, 100001);
    put("huge/sluice.run", memset(words, 'x', 100000));
    free(words);
    make("folder", 0700);
    make("folder/sluice.run", 0700);
    put("file", "sluice-run 1\nstream file\n");
    snprintf(target, sizeof target, "%s/sluice/good", dir);
    snprintf(link, sizeof link, "%s/sluice/link", dir);
    assert_int_equal(symlink(target, link), 0);
    assert_int_equal(streams_find(&streams), ERR_OK);
    assert_int_equal(streams.count, 1);
    const struct stream_found *good = found("good");
    assert_int_equal(good->state, STREAMS_STOPPED); /* a lock that nobody holds */
    assert_int_equal(good->config->trainer.consumers.count, 1);
    assert_string_equal(good->config->trainer.consumers.item[0], "main");
    assert_string_equal(good->page, ""); /* of a run that is over */
    streams_free(&streams);
}

static void one_that_is_run_is_told(void **state)
{
    (void)state;
    char path[256];
    make("live", 0700);
    put("live/sluice.run", "sluice-run 1\nstream live\n");
    put("live/lock", "4242\n");
    make("live/http", 0700);
    put("live/http/broker", "127.0.0.1:4711\n");
    snprintf(path, sizeof path, "%s/sluice/live/lock", dir);
    FILE *lock = fopen(path, "r");
    assert_non_null(lock);
    assert_int_equal(flock(fileno(lock), LOCK_EX), 0);
    assert_int_equal(streams_find(&streams), ERR_OK);
    const struct stream_found *live = found("live");
    assert_int_equal(live->state, STREAMS_SILENT);
    assert_int_equal(live->pid, 4242);
    assert_string_equal(live->page, "http://127.0.0.1:4711/");
    streams_free(&streams);
    put("live/http/broker", "\033[31mevil:1\n");
    assert_int_equal(streams_find(&streams), ERR_OK);
    assert_string_equal(found("live")->page, "");
    streams_free(&streams);
    fclose(lock);
}

static int set_up(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/sluice-streams-XXXXXX");
    return mkdtemp(dir) && setenv("XDG_STATE_HOME", dir, 1) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return dir_remove(dir) == ERR_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_where_nothing_is),
        cmocka_unit_test(only_our_own_are_found),
        cmocka_unit_test(one_that_is_run_is_told),
    };
    return cmocka_run_group_tests_name("streams", tests, set_up, tear_down);
}
