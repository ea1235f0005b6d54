/* The file that tells Prometheus today's ports: what stands in it, when it changes, who may read it,
 * and what it never replaces. */
#include "cli/targets.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/unit/cli/run_folder.h"

#include <jansson.h>
#include <unistd.h>

static struct children children; /* large */
static char file[96];

static struct child *add(enum process_kind role, const char *name)
{
    struct child *child = &children.child[children.count++];
    *child = (struct child){.role = role, .phase = CHILD_RUNNING};
    snprintf(child->name, sizeof child->name, "%s", name);
    return child;
}

static void announce(const char *name, const char *address)
{
    char path[160];
    snprintf(path, sizeof path, "%s/http", dir);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/http/%s", dir, name);
    assert_int_equal(file_replace(path, address, strlen(address)), ERR_OK);
}

static int begin(void **state)
{
    int result = set_up(state);
    children.count = 0;
    add(PROCESS_SINK, "sink");
    add(PROCESS_CAPTURE, "capture-0");
    snprintf(file, sizeof file, "%s/t.json", dir);
    return result;
}

static void holds(const char *process, const char *address)
{
    char *text = NULL;
    size_t bytes, i;
    json_t *group;
    assert_int_equal(file_read(file, 1 << 16, &text, &bytes), ERR_OK);
    json_t *list = json_loads(text, 0, NULL);
    const char *found = NULL;
    json_array_foreach(list, i, group)
    {
        const char *target, *job, *stream, *its, *kind, *instance;
        char expected[128];
        assert_int_equal(json_unpack(group, "{s:[s], s:{s:s, s:s, s:s, s:s, s:s !} !}", "targets",
                                     &target, "labels", "job", &job, "stream", &stream, "process",
                                     &its, "kind", &kind, "instance", &instance),
                         0);
        snprintf(expected, sizeof expected, "t/%s", its);
        assert_string_equal(job, "sluice");
        assert_string_equal(stream, "t");
        assert_string_equal(instance, expected);
        assert_memory_equal(its, kind, strlen(kind));
        if (strcmp(its, process) == 0) found = target;
    }
    if (address && !found) fail_msg("%s is not there: %s", process, text);
    if (!address && found) fail_msg("%s is there: %s", process, text);
    if (address) assert_string_equal(found, address);
    json_decref(list);
    free(text);
}

static void holds_text(const char *expected)
{
    char *text = NULL;
    size_t bytes;
    assert_int_equal(file_read(file, 1 << 16, &text, &bytes), ERR_OK);
    assert_string_equal(text, expected);
    free(text);
}

static void ports_are_those_of_today(void **state)
{
    (void)state;
    struct targets targets;
    struct stat st;
    mode_t mask = umask(0077);
    announce("sink", "127.0.0.1:4101\n");
    assert_int_equal(targets_open(&targets, file, config, &children), ERR_OK);
    holds("sink", "127.0.0.1:4101");
    holds("capture-0", TARGETS_NOWHERE);
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    umask(mask);
    announce("capture-0", "[::1]:4102\n");
    announce("sink", "127.0.0.1:4103\n");
    targets_look(&targets, &children);
    holds("sink", "127.0.0.1:4103");
    holds("capture-0", "[::1]:4102");
    announce("sink", "example.org:80\n");
    targets_look(&targets, &children);
    holds("sink", TARGETS_NOWHERE);
    targets_close(&targets, 1);
}

static void who_is_dead_stays_and_who_is_done_goes(void **state)
{
    (void)state;
    struct targets targets;
    announce("sink", "127.0.0.1:4101\n");
    announce("capture-0", "127.0.0.1:4102\n");
    assert_int_equal(targets_open(&targets, file, config, &children), ERR_OK);
    children.child[0].phase = CHILD_WAITING;
    children.child[1].phase = CHILD_DONE;
    targets_look(&targets, &children);
    holds("sink", TARGETS_NOWHERE);
    holds("capture-0", NULL);
    children.child[0].phase = CHILD_GIVEN_UP;
    targets_look(&targets, &children);
    targets_close(&targets, 0);
    holds("sink", TARGETS_NOWHERE);
    assert_int_equal(targets_clear(file, config), ERR_OK);
    holds_text("[]\n");
}

static void a_run_that_is_over_has_none(void **state)
{
    (void)state;
    struct targets targets;
    assert_int_equal(targets_open(&targets, file, config, &children), ERR_OK);
    targets_close(&targets, 1);
    holds_text("[]\n");
    targets_close(&targets, 1); /* a second time */
    assert_int_equal(targets_open(&targets, NULL, config, &children), ERR_OK);
    targets_look(&targets, &children);
    targets_close(&targets, 1);
    assert_int_equal(targets_clear(NULL, config), ERR_OK);
}

static void what_does_not_change_is_not_written(void **state)
{
    (void)state;
    struct targets targets;
    struct stat before, after;
    announce("sink", "127.0.0.1:4101\n");
    assert_int_equal(targets_open(&targets, file, config, &children), ERR_OK);
    assert_int_equal(stat(file, &before), 0);
    targets_look(&targets, &children);
    assert_int_equal(stat(file, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    targets_close(&targets, 0);
}

static void switched_off_is_left_out(void **state)
{
    (void)state;
    struct targets targets;
    struct config *other;
    const char text[] = "stream: {name: t}\nsink: {http: off}\n";
    assert_int_equal(config_parse(text, strlen(text), "t.yaml", NULL, 0, &other), ERR_OK);
    assert_int_equal(targets_open(&targets, file, other, &children), ERR_OK);
    holds("sink", NULL);
    holds("capture-0", TARGETS_NOWHERE);
    targets_close(&targets, 1);
    config_free(other);
}

static void refused(const char *text, const char *words)
{
    struct targets targets;
    if (text) assert_int_equal(file_replace(file, text, strlen(text)), ERR_OK);
    assert_int_equal(targets_open(&targets, file, config, &children), ERR_USAGE);
    if (!strstr(err_text(), words)) fail_msg("no '%s' in: %s", words, err_text());
    targets_close(&targets, 1);
    assert_int_equal(targets_clear(file, config), ERR_USAGE);
    if (text) holds_text(text);
}

static void nothing_else_is_replaced(void **state)
{
    (void)state;
    static const char *const others[] = {
        "stream: {name: t}\n",
        "{}",
        "",
        "[1]",
        "[{\"targets\": [\"a:1\"]}]",
        "[{\"targets\": [\"a:1\"], \"labels\": {\"job\": \"node\", \"stream\": \"t\"}}]",
        "[{\"targets\": [\"a:1\"], \"labels\": {\"job\": \"sluice\", \"stream\": \"other\"}}]",
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        refused(others[i], "HINT: name a file of its own");
    snprintf(file, sizeof file, "%s/targets", dir);
    refused(NULL, "HINT: let it end in .json");
    assert_int_not_equal(access(file, F_OK), 0);
}

static void a_file_that_cannot_be_written_ends_no_run(void **state)
{
    (void)state;
    struct targets targets;
    char folder[96];
    snprintf(folder, sizeof folder, "%s/made", dir);
    snprintf(file, sizeof file, "%s/made/t.json", dir);
    assert_int_equal(targets_open(&targets, file, config, &children), ERR_IO);
    targets_close(&targets, 1);
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(targets_open(&targets, file, config, &children), ERR_OK);
    assert_int_equal(dir_remove(folder), ERR_OK);
    announce("sink", "127.0.0.1:4101\n");
    targets_look(&targets, &children);
    assert_int_equal(mkdir(folder, 0700), 0);
    targets_look(&targets, &children); /* it is tried again */
    holds("sink", "127.0.0.1:4101");
    targets_close(&targets, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ports_are_those_of_today, begin, tear_down),
        cmocka_unit_test_setup_teardown(who_is_dead_stays_and_who_is_done_goes, begin, tear_down),
        cmocka_unit_test_setup_teardown(a_run_that_is_over_has_none, begin, tear_down),
        cmocka_unit_test_setup_teardown(what_does_not_change_is_not_written, begin, tear_down),
        cmocka_unit_test_setup_teardown(switched_off_is_left_out, begin, tear_down),
        cmocka_unit_test_setup_teardown(nothing_else_is_replaced, begin, tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_cannot_be_written_ends_no_run, begin,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
