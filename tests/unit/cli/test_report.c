/* The table at the end of a run: its columns stand straight, however long the names are. */
#include "cli/report.h"

#include "run_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_any_length),
    };
    return cmocka_run_group_tests_name("report", tests, set_up, tear_down);
}
