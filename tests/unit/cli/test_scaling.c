/* The scaling picture: well-formed whatever a sweep gave, and everything where it belongs. */
#include "base/err.h"
#include "cli/scaling.h"
#include "cli/svg.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MANY = CONFIG_MAX_SAES };

static struct outcome_point points[MANY][3];
static struct outcome one[MANY];

/* One of `features`, whose FVE rises to `fve`. */
static void make(size_t i, const char *arch, double features, double fve, double dead)
{
    struct outcome *o = &one[i];
    *o = (struct outcome){.features = features, .fve = fve, .dead = dead, .points = 3};
    snprintf(o->name, sizeof o->name, "%s-%.0f-%zu", arch, features, i);
    snprintf(o->arch, sizeof o->arch, "%s", arch);
    for (int n = 0; n < 3; n++)
        points[i][n] = (struct outcome_point){features * pow(10, 8 + n), fve - 0.2 * (2 - n)};
    o->point = points[i];
}

/* The picture of the first `count`, checked by Python's parser; the caller frees. */
static char *drawn(size_t count)
{
    struct outcomes all = {.stream = "a&b<c>\"", .one = one, .count = count};
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    assert_int_equal(scaling_draw(&all, out), ERR_OK);
    fclose(out);
    FILE *python =
        popen("python3 -c 'import sys, xml.dom.minidom as m; m.parse(sys.stdin.buffer)'", "w");
    assert_non_null(python);
    fwrite(text, 1, bytes, python);
    assert_int_equal(pclose(python), 0);
    assert_non_null(strstr(text, "a&amp;b&lt;c&gt;&quot;"));
    assert_null(strstr(text, "\"nan"));
    assert_null(strstr(text, "inf,"));
    return text;
}

static unsigned count(const char *text, const char *word)
{
    unsigned n = 0;
    for (; (text = strstr(text, word)); text += strlen(word)) n++;
    return n;
}

static void one_line_an_autoencoder(void **state)
{
    (void)state;
    make(0, "topk", 4608, 0.8, 20);
    make(1, "topk", 1152, 0.7, 0);
    make(2, "l1", 1152, 0.4, 100);
    char *text = drawn(3);
    assert_int_equal(count(text, "class=\"curve\""), 3);
    assert_int_equal(count(text, "class=\"envelope\""), 2); /* and in the legend */
    assert_int_equal(count(text, "#4269d0"), 7);  /* the narrowest: two of each, and the legend */
    assert_int_equal(count(text, "#d6483e"), 4);  /* the widest */
    assert_non_null(strstr(text, ">8 %</text>")); /* 100 of 1,152 are the most */
    assert_non_null(strstr(text, "topk-4608-0: 20 of 4608 dead"));
    assert_non_null(strstr(text, ">4,608</text>"));
    assert_non_null(strstr(text, "aria-labelledby"));
    free(text);
}

static void whatever_a_sweep_gave(void **state)
{
    (void)state;
    free(drawn(0));
    make(0, "topk", 4608, 0.8, 0); /* alone */
    free(drawn(1));
    one[0].points = 1;
    free(drawn(1));
    one[0].points = 0; /* too few held-out rows */
    char *text = drawn(1);
    assert_non_null(strstr(text, "fewer than 2,000"));
    free(text);
    one[0].dead = NAN; /* no step was made */
    text = drawn(1);
    assert_null(strstr(text, "nan"));
    free(text);
    make(0, "topk", 64, 1, 64); /* perfect, and all dead */
    make(1, "l1", 64, -1e6, 0); /* far astray */
    make(2, "jumprelu", 64, 0.9999, 0);
    free(drawn(3));
    for (size_t i = 0; i < MANY; i++)
        make(i, i % 3 ? "topk" : "gated", 64 << i % 16, 0.5 + 0.005 * (double)i, (double)i);
    text = drawn(MANY);
    assert_int_equal(count(text, "class=\"curve\""), MANY);
    free(text);
}

/* At each compute the envelope is no higher than any curve there, and it never rises. */
static void envelope_is_the_least(void **state)
{
    (void)state;
    make(0, "topk", 1000, 0.5, 0);
    make(1, "topk", 2000, 0.9, 0);
    char *text = drawn(2), *at = strstr(text, "class=\"envelope\" points=\"");
    at = strstr(at + 1, "class=\"envelope\" points=\""); /* the first is the legend's */
    assert_non_null(at);
    double x, y, last = -INFINITY, lowest = 0;
    unsigned n = 0;
    int used;
    for (at += 25; sscanf(at, "%lf,%lf%n", &x, &y, &used) == 2; at += used, n++) {
        assert_true(y >= last); /* pixels grow downwards */
        last = y;
    }
    assert_true(n > 100);
    for (const char *mark = text; (mark = strstr(mark, " cy=\"")); mark++) {
        double end = strtod(mark + 5, NULL);
        if (strstr(mark, "FVE") && strstr(mark, "FVE") < strstr(mark, "</circle>"))
            lowest = fmax(lowest, end);
    }
    assert_true(fabs(last - lowest) < 1.5);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_line_an_autoencoder),
        cmocka_unit_test(whatever_a_sweep_gave),
        cmocka_unit_test(envelope_is_the_least),
    };
    return cmocka_run_group_tests_name("scaling", tests, NULL, NULL);
}
