/* What tests of the configuration share: a text that is accepted, or refused in which words. */
#ifndef SLUICE_TESTS_CONFIG_RIG_H
#define SLUICE_TESTS_CONFIG_RIG_H

#include "base/err.h"
#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants the above first */
#include <cmocka.h>

static struct config *config;

static inline int rig_parse(const char *text, const char *set)
{
    config_free(config);
    config = NULL;
    return config_parse(text, strlen(text), "t.yaml", &set, set ? 1 : 0, &config);
}

static inline void accepts(const char *text, const char *set)
{
    if (rig_parse(text, set) != ERR_OK) fail_msg("%s: %s", text, err_text());
}

/* Every word must be in the message. */
static inline void refuses_all(const char *text, const char *set, const char *const *words)
{
    if (rig_parse(text, set) != ERR_USAGE) fail_msg("not refused: %s (%s)", text, set ? set : "");
    for (; *words; words++)
        if (!strstr(err_text(), *words)) fail_msg("'%s' is not in: %s", *words, err_text());
}
#define refuses(text, set, ...) refuses_all(text, set, (const char *const[]){__VA_ARGS__, NULL})

/* As --print-config shows it. */
static inline char *rig_printed(void)
{
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    assert_non_null(out);
    assert_int_equal(config_print(config, out), ERR_OK);
    assert_int_equal(fclose(out), 0);
    return text;
}

static inline int rig_tear_down(void **state)
{
    (void)state;
    config_free(config);
    config = NULL;
    return 0;
}

#endif
