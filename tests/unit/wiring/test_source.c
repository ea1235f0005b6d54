/* What each engine needs of the configuration, told with the place in the file. */
#include "base/err.h"
#include "wiring/source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define NAME "stream: {name: t}\n"

/* `key` NULL: nothing lacks. */
static void lacks(const char *text, const char *key)
{
    struct config *config;
    if (config_parse(text, strlen(text), "t.yaml", NULL, 0, &config) != ERR_OK)
        fail_msg("%s", err_text());
    int result = source_needs(config);
    assert_int_equal(result, key ? ERR_USAGE : ERR_OK);
    if (key && !strstr(err_text(), key)) fail_msg("'%s' is not in: %s", key, err_text());
    config_free(config);
}

static void each_engine_says_what_it_needs(void **state)
{
    (void)state;
    lacks(NAME, "t.yaml: stream.model (not given): is required by the llama engine");
    lacks("stream: {name: t, model: \"\"}\n", "t.yaml:1: stream.model: is required");
    lacks("stream: {name: t, model: m}\n", "stream.hooks");
    lacks("stream: {name: t, model: m, hooks: [a]}\ncapture:\n  corpus: []\n",
          "t.yaml:3: capture.corpus");
    lacks("stream: {name: t, model: m, hooks: [a]}\ncapture: {corpus: [x]}\n", NULL);
    lacks(NAME "capture: {engine: files}\n", "capture.files");
    lacks(NAME "capture: {engine: files, files: [x]}\n", NULL);
    lacks(NAME "capture: {engine: synthetic}\n", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_engine_says_what_it_needs)};
    return cmocka_run_group_tests_name("source", tests, NULL, NULL);
}
