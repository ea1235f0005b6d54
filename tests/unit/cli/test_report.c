/* The table at the end of a run: its columns stand straight, however long the names are. */
#include "cli/report.h"

#include "base/err.h"
#include "base/fileio.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static char dir[64];
static struct config *config;

static void write_summary(const char *first, const char *second)
{
    char path[128], text[512];
    snprintf(path, sizeof path, "%s/main/summary.json", dir);
    snprintf(text, sizeof text,
             "{\"consumer\": \"main\", \"rows\": 1234567, \"saes\": ["
             "{\"name\": \"%s\", \"features\": 8, \"k\": 2},"
             "{\"name\": \"%s\", \"features\": 4096, \"k\": 32}]}",
             first, second);
    assert_int_equal(file_replace(path, text, strlen(text)), ERR_OK);
}

/* The head's line and two more are equally long, as their last column ends at one place. */
static void columns_are_straight(const char *first, const char *second)
{
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    write_summary(first, second);
    assert_int_equal(report_print(config, out), ERR_OK);
    fclose(out);
    assert_non_null(strstr(text, first));
    assert_non_null(strstr(text, second));
    const char *line = text;
    size_t length = strcspn(text, "\n");
    for (int i = 0; i < 3; i++, line += length + 1) assert_int_equal(strcspn(line, "\n"), length);
    free(text);
}

static void names_of_any_length(void **state)
{
    (void)state;
    columns_are_straight("a", "b");
    columns_are_straight("a", "a-transcoder-with-a-skip-and-many-features-and-a-name-as-such.1");
}

static int set_up(void **state)
{
    (void)state;
    char text[160], folder[96];
    snprintf(dir, sizeof dir, "/tmp/sluice-report-XXXXXX");
    if (!mkdtemp(dir)) return -1;
    snprintf(folder, sizeof folder, "%s/main", dir);
    if (mkdir(folder, 0700) != 0) return -1;
    snprintf(text, sizeof text, "stream: {name: t, run_dir: %s}\n", dir);
    return config_parse(text, strlen(text), "t.yaml", NULL, 0, &config) == ERR_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    config_free(config);
    return dir_remove(dir) == ERR_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_any_length),
    };
    return cmocka_run_group_tests_name("report", tests, set_up, tear_down);
}
