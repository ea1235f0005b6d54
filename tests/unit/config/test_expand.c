/* ${VARIABLE} and ~ in paths: where they are expanded, and what is refused. */
#include "tests/unit/config/rig.h"

#include <pwd.h>
#include <unistd.h>

#define NAME "stream: {name: t}\n"

static int set_up(void **state)
{
    (void)state;
    setenv("HOME", "/home/x", 1);
    setenv("DATA", "/data/y", 1);
    setenv("EMPTY", "", 1);
    setenv("ODD", "~/${DATA}", 1);
    unsetenv("MISSING");
    return 0;
}

static void all_paths_are_expanded(void **state)
{
    (void)state;
    char out[CONFIG_PATH_BYTES];
    accepts("stream: {name: t, model: '${DATA}/m.gguf', run_dir: '${DATA}/run'}\n"
            "capture:\n"
            "  corpus: ['${DATA}/*.txt', ~/b.txt, a.txt]\n"
            "  files: '${DATA}/${DATA}.npy'\n"
            "  synthetic: {truth_file: '${DATA}/truth'}\n"
            "broker: {front: 'ipc://${DATA}/front'}\n",
            NULL);
    assert_string_equal(config->stream.model, "/data/y/m.gguf");
    assert_string_equal(config->run_dir, "/data/y/run");
    assert_string_equal(config->capture.corpus.item[0], "/data/y/*.txt");
    assert_string_equal(config->capture.corpus.item[1], "/home/x/b.txt");
    assert_string_equal(config->capture.corpus.item[2], "a.txt");
    assert_string_equal(config->capture.files.item[0], "/data/y//data/y.npy");
    assert_int_equal(config_truth_file(config, out), ERR_OK);
    assert_string_equal(out, "/data/y/truth");
    assert_int_equal(config_endpoint(config, CONFIG_FRONT, out), ERR_OK);
    assert_string_equal(out, "ipc:///data/y/front");
    accepts(NAME, "stream.run_dir=${DATA}/set");
    assert_string_equal(config->run_dir, "/data/y/set");
    accepts(NAME, "capture.corpus=['${DATA}/a', ~]");
    assert_string_equal(config->capture.corpus.item[0], "/data/y/a");
    assert_string_equal(config->capture.corpus.item[1], "/home/x");
    accepts(NAME, "capture.text_field=${DATA}"); /* no path */
    assert_string_equal(config->capture.text_field, "${DATA}");
}

static void what_stands_for_itself(void **state)
{
    (void)state;
    accepts(NAME, "stream.model=a$b $DATA $ {x} $");
    assert_string_equal(config->stream.model, "a$b $DATA $ {x} $");
    accepts(NAME, "stream.model=a$${DATA}");
    assert_string_equal(config->stream.model, "a${DATA}");
    accepts(NAME, "stream.model=a$$${DATA}");
    assert_string_equal(config->stream.model, "a$${DATA}");
    accepts(NAME, "stream.model=b/~/c~");
    assert_string_equal(config->stream.model, "b/~/c~");
    accepts(NAME, "stream.model=~nobody-of-that-name/c");
    assert_string_equal(config->stream.model, "~nobody-of-that-name/c");
    accepts(NAME, "stream.model=${ODD}"); /* once, and then the home */
    assert_string_equal(config->stream.model, "/home/x/${DATA}");
}

static void users_have_homes(void **state)
{
    (void)state;
    struct passwd *me = getpwuid(getuid());
    char set[256], whole[CONFIG_PATH_BYTES];
    if (!me || me->pw_dir[0] != '/') skip();
    snprintf(set, sizeof set, "stream.model=~%.80s/m.gguf", me->pw_name);
    snprintf(whole, sizeof whole, "%s/m.gguf", me->pw_dir);
    accepts(NAME, set);
    assert_string_equal(config->stream.model, whole);
}

static void what_is_not_set_is_told(void **state)
{
    (void)state;
    refuses("stream:\n  name: t\n  run_dir: ${MISSING}/run\n", NULL, "t.yaml:3", "stream.run_dir",
            "${MISSING}", "not set", "HINT");
    refuses("stream: {name: t}\ncapture:\n  corpus:\n  - a\n  - ${MISSING}/b\n", NULL, "t.yaml:5",
            "capture.corpus", "${MISSING}");
    refuses(NAME, "stream.run_dir=${EMPTY}/run", "--set stream.run_dir", "empty");
    refuses(NAME, "stream.run_dir=${DATA", "is not ${NAME}", "$${");
    refuses(NAME, "stream.run_dir=${}", "is not ${NAME}");
    refuses(NAME, "stream.run_dir=${1A}", "is not ${NAME}");
    refuses(NAME, "stream.run_dir=${DATA:-x}", "is not ${NAME}");
    refuses(NAME, "broker.front=ipc://${MISSING}", "broker.front");
    unsetenv("HOME");
    refuses(NAME, "stream.model=~/x", "HOME is not set");
    setenv("HOME", "/home/x", 1);
    char *large = malloc(2 * CONFIG_PATH_BYTES);
    memset(large, 'a', 2 * CONFIG_PATH_BYTES - 1);
    large[2 * CONFIG_PATH_BYTES - 1] = '\0';
    setenv("LARGE", large, 1);
    refuses(NAME, "stream.model=${LARGE}", "longer than a path");
    setenv("LARGE", "\xff", 1);
    refuses(NAME, "stream.model=${LARGE}", "UTF-8");
    unsetenv("LARGE");
    free(large);
}

/* What is printed is expanded, and comes back as the same. */
static void what_is_printed_loads_back(void **state)
{
    (void)state;
    static const char *const models[] = {
        "${DATA}/x", "a$${DATA}", "$$${DATA}${DATA}", "~/x", "~nobody-of-that-name",
        "$${",       "${ODD}",
    };
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        char set[128];
        snprintf(set, sizeof set, "stream.model=%s", models[i]);
        accepts(NAME, set);
        char *model = strdup(config->stream.model), *printed = rig_printed();
        setenv("DATA", "/elsewhere", 1);
        accepts(printed, NULL);
        assert_string_equal(config->stream.model, model);
        char *again = rig_printed();
        assert_string_equal(again, printed);
        setenv("DATA", "/data/y", 1);
        free(model);
        free(printed);
        free(again);
    }
}

#define EXPAND(name) cmocka_unit_test_setup_teardown(name, set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EXPAND(all_paths_are_expanded),     EXPAND(what_stands_for_itself),
        EXPAND(users_have_homes),           EXPAND(what_is_not_set_is_told),
        EXPAND(what_is_printed_loads_back),
    };
    return cmocka_run_group_tests_name("expansion", tests, NULL, NULL);
}
