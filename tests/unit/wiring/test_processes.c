/* The one list of processes: names there and back, and that the files which a run makes of them are
 * on the list of what a run makes. */
#include "base/err.h"
#include "base/fileio.h"
#include "config/made.h"
#include "proto/message.h"
#include "wiring/processes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static char dir[] = "/tmp/sluice-processes-XXXXXX";

static struct config *configure(void)
{
    char text[512];
    struct config *config;
    snprintf(text, sizeof text,
             "stream: { name: t, run_dir: %s }\ncapture: { engine: synthetic, producers: 3 }\n"
             "trainer: { consumers: [main, a-b] }\n",
             dir);
    if (config_parse(text, strlen(text), "t.yaml", NULL, 0, &config) != ERR_OK)
        fail_msg("%s", err_text());
    return config;
}

static void all_of_a_run_are_started(void **state)
{
    (void)state;
    static const char *const names[] = {"broker",    "sink",         "capture-0",  "capture-1",
                                        "capture-2", "trainer-main", "trainer-a-b"};
    struct config *config = configure();
    size_t at = 0;
    for (int kind = 0; kind < PROCESS_KINDS; kind++)
        for (uint32_t i = 0; i < processes_count(config, (enum process_kind)kind); i++) {
            char out[16], name[MESSAGE_NAME_BYTES];
            const char *which = processes_which(config, (enum process_kind)kind, i, out);
            processes_name((enum process_kind)kind, which, name, sizeof name);
            assert_string_equal(name, names[at++]);
            assert_int_equal(processes_kind_of(name), kind);
            assert_string_equal(processes_which_of(name), which);
            assert_int_equal(!which[0], !processes_option((enum process_kind)kind));
        }
    assert_int_equal(at, sizeof names / sizeof names[0]);
    assert_int_equal(processes_kind_of("sinking"), -1);
    assert_int_equal(processes_kind_of(""), -1);
    config_free(config);
}

/* A reporter's name is cut as a consumer's is long. */
static void long_names_are_cut(void **state)
{
    (void)state;
    char which[64], name[MESSAGE_NAME_BYTES];
    memset(which, 'x', 63);
    which[63] = '\0';
    processes_name(PROCESS_TRAINER, which, name, sizeof name);
    assert_int_equal(strlen(name), MESSAGE_NAME_BYTES - 1);
}

struct seen {
    int files, foreign;
};

static int count(void *arg, const struct made_entry *entry)
{
    struct seen *seen = arg;
    seen->files += entry->kind == MADE_FILE;
    seen->foreign += entry->kind == MADE_FOREIGN;
    return ERR_OK;
}

static void touch(const char *path)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
}

static void what_they_write_is_known_as_the_runs(void **state)
{
    (void)state;
    struct config *config = configure();
    struct seen seen = {0};
    char path[CONFIG_PATH_BYTES], old[CONFIG_PATH_BYTES + 8];
    snprintf(path, sizeof path, "%s/log", dir);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/http", dir);
    assert_int_equal(mkdir(path, 0700), 0);
    for (int kind = 0; kind < PROCESS_KINDS; kind++) {
        char out[16], name[MESSAGE_NAME_BYTES];
        processes_name((enum process_kind)kind,
                       processes_which(config, (enum process_kind)kind, 0, out), name, sizeof name);
        assert_int_equal(config_log_file(config, name, path), ERR_OK);
        touch(path);
        snprintf(old, sizeof old, "%s.old", path);
        touch(old);
        assert_int_equal(config_http_file(config, name, path), ERR_OK);
        touch(path);
    }
    assert_int_equal(made_walk(config, NULL, count, &seen), ERR_OK);
    assert_int_equal(seen.files, 3 * PROCESS_KINDS);
    assert_int_equal(seen.foreign, 0);
    config_free(config);
}

static void sections_of_the_configuration_are_theirs(void **state)
{
    (void)state;
    struct config *config = configure();
    for (int kind = 0; kind < PROCESS_KINDS; kind++) {
        char set[64];
        const char *sets[] = {set};
        struct config *other;
        snprintf(set, sizeof set, "%s.http=off", processes_section((enum process_kind)kind));
        assert_int_equal(config_parse("stream: {name: t}", 17, "t", sets, 1, &other), ERR_OK);
        config_free(other);
    }
    config_free(config);
}

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_a_run_are_started),
        cmocka_unit_test(long_names_are_cut),
        cmocka_unit_test(what_they_write_is_known_as_the_runs),
        cmocka_unit_test(sections_of_the_configuration_are_theirs),
    };
    return cmocka_run_group_tests_name("processes", tests, set_up, tear_down);
}
