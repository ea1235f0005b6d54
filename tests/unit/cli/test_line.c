/* A line that fits: what is left out and in which order, how wide text is, and colour. */
#include "cli/line.h"
#include "cli/progress.h"
#include "cli/stage.h"

#include "base/err.h"
#include "proto/phase.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LEAST = 20, MOST = 250, BYTES = 8192 };

static struct line sample(void)
{
    struct line l = {0};
    line_add(&l, LINE_COLUMN, LINE_ALWAYS, LINE_SOFT, "1:02");
    line_add(&l, LINE_COLUMN, LINE_ALWAYS, LINE_STRONG, "notice");
    line_add(&l, LINE_COLUMN, 30, LINE_PLAIN, "%d tokens", 16);
    line_add(&l, LINE_SPACE, 40, LINE_PLAIN, "8/s");
    line_add(&l, LINE_COLUMN, 60, LINE_PLAIN, "skipped");
    line_add(&l, LINE_COMMA, 18, LINE_PLAIN, "missed");
    line_add(&l, LINE_COMMA, 61, LINE_PLAIN, "%s", "");
    line_add(&l, LINE_COLUMN, 15, LINE_STRONG, "ETA 3");
    return l;
}

static void fits(int columns, const char *text)
{
    char out[BYTES];
    struct line l = sample();
    line_text(&l, columns, 0, out, sizeof out);
    assert_string_equal(out, text);
}

static void the_least_important_goes_first(void **state)
{
    (void)state;
    fits(0, "1:02  notice | 16 tokens 8/s | skipped, missed | ETA 3");
    fits(54, "1:02  notice | 16 tokens 8/s | skipped, missed | ETA 3");
    fits(53, "1:02  notice | 16 tokens 8/s | missed | ETA 3");
    fits(44, "1:02  notice | 16 tokens | missed | ETA 3");
    fits(40, "1:02  notice | missed | ETA 3");
    fits(28, "1:02  notice | ETA 3");
    fits(19, "1:02  notice");
    fits(11, "1:02  noti\u2026");
}

static void width_is(const char *text, int columns)
{
    assert_int_equal(line_width(text), columns);
}

static void width_is_counted_in_columns(void **state)
{
    (void)state;
    width_is("abc", 3);
    width_is("\u00e9\u00fc", 2);
    width_is("e\u0301", 1);            /* a mark that combines */
    width_is("\u65e5\u672c\u8a9e", 6); /* wide */
    width_is("\U0001f600", 2);
    width_is("\u2595\u2588\u258c\u258f", 4); /* a bar */
    width_is("\xff\xfe", 2);                 /* no UTF-8 */
    width_is("", 0);
}

/* Whoever chose the name of a folder writes no control sequence to the terminal by it. */
static void text_is_printable(void **state)
{
    (void)state;
    char out[BYTES];
    struct line l = {0};
    line_add(&l, LINE_COLUMN, LINE_ALWAYS, LINE_PLAIN, "a\r\033[2Jb\n\xff");
    line_text(&l, 0, 0, out, sizeof out);
    assert_string_equal(out, "a\\x0d\\x1b[2Jb\\n\\xff");
}

/* A sentence of a log keeps both its ends, until there is no room for either. */
static void a_sentence_may_be_cut(void **state)
{
    (void)state;
    char out[BYTES];
    for (int columns = 20; columns < 90; columns++) {
        struct line l = {0};
        line_add(&l, LINE_COLUMN, LINE_ALWAYS, LINE_SOFT, "0:01");
        line_add(&l, LINE_COLUMN, LINE_ALWAYS, LINE_STRONG, "checking");
        line_add(
            &l, LINE_COLUMN, 80, LINE_SOFT,
            "proving that the model cut above its hooks computes the same rows: context 2 of 4");
        line_may_cut(&l);
        line_text(&l, columns, 0, out, sizeof out);
        assert_true(line_width(out) <= columns);
        if (columns < 14 + 3 + 16)
            assert_string_equal(out, "0:01  checking");
        else if (!strstr(out, "checking | pro") || strcmp(out + strlen(out) - 6, "2 of 4") != 0)
            fail_msg("%s", out);
    }
}

/* A long notice in wide characters: both its ends are there, and no character is cut in two. */
static void what_stays_is_cut_in_its_middle(void **state)
{
    (void)state;
    char out[BYTES];
    for (int columns = 34; columns < 106; columns++) {
        struct line l = {0};
        line_add(&l, LINE_COLUMN, LINE_ALWAYS, LINE_SOFT, "0:01");
        line_add(
            &l, LINE_COLUMN, LINE_ALWAYS, LINE_TROUBLE,
            "the disk of /\u65e5\u672c\u8a9e\u65e5\u672c\u8a9e\u65e5\u672c\u8a9e\u65e5\u672c\u8a9e"
            "\u65e5\u672c\u8a9e/buffer is full: 0.1 MB free, needs 0.3 MB; capture waits");
        line_text(&l, columns, 0, out, sizeof out);
        assert_true(line_width(out) <= columns && line_width(out) >= columns - 2);
        assert_int_equal(strncmp(out, "0:01  the ", 10), 0);
        assert_string_equal(out + strlen(out) - 12, "apture waits");
        assert_null(strstr(out, "\\x"));
        for (const char *at = out; (at = strchr(at, '\xe6')); at++)
            assert_true((at[1] & 0xc0) == 0x80 && (at[2] & 0xc0) == 0x80);
    }
}

static void colour_takes_no_column(void **state)
{
    (void)state;
    char plain[BYTES], coloured[BYTES];
    struct line l = sample();
    line_text(&l, 30, 0, plain, sizeof plain);
    assert_null(strchr(plain, '\033'));
    line_text(&l, 30, 1, coloured, sizeof coloured);
    size_t used = 0;
    int is_escape = 0, escapes = 0;
    for (const char *at = coloured; *at; at++) {
        if (*at == '\033') is_escape = ++escapes;
        if (!is_escape) coloured[used++] = *at;
        if (*at == 'm') is_escape = is_escape && 0;
    }
    coloured[used] = '\0';
    assert_string_equal(coloured, plain);
    assert_true(escapes >= 4 && escapes % 2 == 0); /* each is ended */
}

/* ---- the lines of a run ---- */

static const char trains[] =
    "{\"processes\": ["
    " {\"name\": \"capture-0\", \"kind\": \"capture\", \"age_seconds\": 1, \"report\": {"
    "   \"sluice_capture_tokens_total\": 123456789, \"sluice_shed_rows_total\": 0,"
    "   \"sluice_capture_documents_read\": 7, \"sluice_capture_documents_skipped\": {\"a\": 3},"
    "   \"sluice_stream_planned_rows\": 400000000}},"
    " {\"name\": \"sink\", \"kind\": \"sink\", \"age_seconds\": 1, \"report\": {"
    "   \"sluice_sink_rows_total\": 1000, \"sluice_buffer_slabs\": 20,"
    "   \"sluice_buffer_capacity_slabs\": 80}},"
    " {\"name\": \"trainer-main\", \"kind\": \"trainer\", \"age_seconds\": 1, \"report\": {"
    "   \"sluice_trainer_rows_total\": 200000000, \"sluice_trainer_planned_rows\": 800000000,"
    "   \"sluice_trainer_phase\": {\"training\": 1},"
    "   \"sluice_trainer_fve_ratio\": {\"a\": 0.75}, \"sluice_trainer_l0\": {\"a\": 32},"
    "   \"sluice_trainer_dead_features\": {\"a\": 10}, \"sluice_trainer_features\": {\"a\": 200},"
    "   \"sluice_trainer_held_out_rows\": 1000}}]}";

static struct snapshot snapshot_of(const char *text)
{
    struct snapshot s;
    json_t *status = json_loads(text, 0, NULL);
    assert_non_null(status);
    snapshot_read(status, &s);
    json_decref(status);
    return s;
}

static struct progress at_work(void)
{
    struct progress p = {0};
    struct snapshot s = snapshot_of(trains);
    progress_update(&p, &s, 0);
    s.tokens += 1000;
    s.stored_rows += 1000;
    s.trained_rows += 100000;
    progress_update(&p, &s, 1);
    return p;
}

static void every_width_is_kept(void **state)
{
    (void)state;
    char out[BYTES];
    struct progress p = at_work();

    for (int columns = MOST; columns >= LEAST; columns--) {
        struct line l = {0};
        line_add(&l, LINE_COLUMN, LINE_ALWAYS, LINE_SOFT, "1:02:03");
        line_add(&l, LINE_COLUMN, LINE_ALWAYS, LINE_STRONG, "finishing");
        progress_pieces(&p, 1, &l);
        line_text(&l, columns - 1, 0, out, sizeof out);
        if (line_width(out) > columns - 1 || strncmp(out, "1:02:03  finishing", 18) != 0)
            fail_msg("%d columns: '%s'", columns, out);
        assert_null(strstr(out, "\u2026")); /* no column is cut */
    }
}

static void line_of(const struct progress *p, int columns, char *out)
{
    struct line l = {0};
    line_add(&l, LINE_COLUMN, LINE_ALWAYS, LINE_SOFT, "1:02");
    progress_pieces(p, 1, &l);
    line_text(&l, columns - 1, 0, out, BYTES);
}

/* What a person looks for first is there in the narrowest. */
static void narrow_lines_hold_what_matters(void **state)
{
    (void)state;
    char out[BYTES];
    struct progress p = at_work();
    line_of(&p, 200, out);
    assert_string_equal(out,
                        "1:02  123,457,789 tokens 1,000/s | buffer 25% \u2595\u2588\u2588      "
                        "\u258f | trained 200,100,000 rows 100,000/s | FVE 0.7500 L0 32.0 dead "
                        "5% | 7 documents, 3 skipped, 1,000 held out | shed 0 | ETA 111:06:38");
    line_of(&p, 80, out);
    assert_string_equal(out, "1:02  buffer 25% | trained 200,100,000 rows | FVE 0.7500 | ETA "
                             "111:06:38");
    line_of(&p, 40, out);
    assert_string_equal(out, "1:02  trained 200,100,000 rows");
}

/* ---- what a run is at ---- */

static struct config *configuration(const char *rest)
{
    char text[512];
    struct config *config;
    snprintf(text, sizeof text, "stream: {name: t, run_dir: /tmp/none}\n%s", rest);
    if (config_parse(text, strlen(text), "t.yaml", NULL, 0, &config) != ERR_OK)
        fail_msg("%s", err_text());
    return config;
}

/* The words for a run whose capture and trainer report these, `seconds` after it was first seen. */
static void stage_words(struct stage *g, const char *capture, const char *trainer, double seconds,
                        char *out)
{
    char text[1024];
    struct line l = {0};
    struct config *config = configuration("trainer: {saes: [{arch: topk, features: 8, k: 2}]}\n");
    snprintf(
        text, sizeof text,
        "{\"processes\": ["
        " {\"name\": \"capture-0\", \"kind\": \"capture\", \"age_seconds\": 1, \"report\": {%s}},"
        " {\"name\": \"trainer-main\", \"kind\": \"trainer\", \"age_seconds\": 1,"
        " \"report\": {%s}}]}",
        capture, trainer);
    struct snapshot s = snapshot_of(text);
    stage_update(g, config, &s, seconds);
    line_add(&l, LINE_COLUMN, LINE_ALWAYS, LINE_SOFT, "0:01");
    stage_pieces(g, config, "", 0, &l);
    line_text(&l, 0, 0, out, BYTES);
    config_free(config);
}

#define CAPTURE(PHASE, DONE, SIZE)                                                                 \
    "\"sluice_capture_phase\": {\"opening\": 0, \"" PHASE                                          \
    "\": 1}, \"sluice_capture_phase_done\": " #DONE ", \"sluice_capture_phase_size\": " #SIZE
#define TRAINER(PHASE, DONE, SIZE)                                                                 \
    "\"sluice_trainer_rows_total\": 0, \"sluice_trainer_phase\": {\"" PHASE "\": 1},"              \
    "\"sluice_trainer_phase_done\": " #DONE ", \"sluice_trainer_phase_size\": " #SIZE

static void stage_is(const char *capture, const char *trainer, const char *text)
{
    char out[BYTES];
    struct stage g = {0};
    stage_words(&g, capture, trainer, 0, out);
    assert_string_equal(out, text);
}

static void each_stage_is_named_with_its_reason(void **state)
{
    (void)state;
    static const char loading[] = TRAINER("loading", 0, 0),
                      streaming[] = CAPTURE("streaming", 0, 0);
    stage_is(CAPTURE("reading", 1073741824, 2147483648), loading,
             "0:01  reading the model, once: 50% of 2.0 GiB");
    stage_is(CAPTURE("checking", 0, 0), loading, "0:01  checking the model, once");
    stage_is(CAPTURE("preparing", 99, 100), loading,
             "0:01  preparing the model, once: 99% of 100 B");
    stage_is(CAPTURE("awaiting", 0, 0), loading,
             "0:01  waits for a program's rows | sluice tap t.yaml -- PROGRAM");
    stage_is(CAPTURE("measuring", 8, 32), loading,
             "0:01  measuring the rows' norms: 25% | on the first 32 contexts "
             "(capture.measure_contexts)");
    stage_is(CAPTURE("counting", 1234567, 0), loading,
             "0:01  counting the corpus's tokens: 1,234,567 so far | to know how long the run is "
             "(skipped where capture.rows is set)");
    stage_is(CAPTURE("asking", 0, 0), loading, "0:01  waits for the sink");
    stage_is(streaming, loading, "0:01  opening the autoencoders | once the sink has a buffer");
    stage_is(streaming, TRAINER("filling", 340, 1000),
             "0:01  filling the buffer: 34% | training begins with 1,000 rows "
             "(half a buffer: trainer.min_rows)");
    stage_is(streaming, TRAINER("training", 0, 0), "0:01  the first training step");
    stage_is(streaming, "", "0:01  waits for a trainer | none has reported yet");
    /* An older capture says nothing of itself: the trainer does. */
    stage_is("", TRAINER("filling", 1, 2),
             "0:01  filling the buffer: 50% | training begins with 2 rows "
             "(half a buffer: trainer.min_rows)");
}

/* It ended before it could say that it streams: rows are there, and the trainer tells why they wait. */
static void a_share_that_has_ended_holds_nothing_up(void **state)
{
    (void)state;
    struct stage g = {0};
    struct config *config = configuration("");
    struct snapshot s = {
        .capture_phase = PHASE_ASKING, .captures = 1, .trainer_phase = PHASE_FILLING};
    stage_update(&g, config, &s, 1); /* a resume: the buffer has rows, the model is opened */
    assert_int_equal(g.kind, STAGE_ASKING);
    s.life_rows = 100;
    stage_update(&g, config, &s, 2);
    assert_int_equal(g.kind, STAGE_FILLING);
    config_free(config);
}

static void the_time_left_is_told_where_a_rate_is_known(void **state)
{
    (void)state;
    char out[BYTES];
    struct stage g = {0};
    static const char streaming[] = CAPTURE("streaming", 0, 0);
    stage_words(&g, streaming, TRAINER("filling", 100, 1000), 10, out);
    assert_true(isnan(stage_eta(&g)));
    stage_words(&g, streaming, TRAINER("filling", 400, 1000), 20, out);
    assert_true(fabs(stage_eta(&g) - 20) < 1e-6);
    assert_non_null(strstr(out, "filling the buffer: 40%, about 20 s | "));
    stage_words(&g, streaming, TRAINER("filling", 400, 1000), 200, out);
    assert_non_null(strstr(out, ", about 6 min | "));
    stage_words(&g, CAPTURE("opening", 0, 0), "", 201, out); /* it died, and begins again */
    stage_words(&g, streaming, TRAINER("filling", 400, 1000), 202, out);
    assert_true(isnan(stage_eta(&g)));
}

/* An evaluation each few seconds does not make the line flicker; one that takes its time is named. */
static void between_steps_only_what_lasts_is_named(void **state)
{
    (void)state;
    char out[BYTES];
    struct stage g = {0};
    static const char evaluates[] =
        "\"sluice_trainer_rows_total\": 5, \"sluice_trainer_phase\": {\"evaluating\": 1}";
    static const char steps[] =
        "\"sluice_trainer_rows_total\": 5, \"sluice_trainer_phase\": {\"training\": 1}";
    stage_words(&g, "", steps, 1, out);
    assert_string_equal(out, "0:01");
    stage_words(&g, "", evaluates, 2, out);
    assert_string_equal(out, "0:01");
    stage_words(&g, "", evaluates, 3, out);
    assert_string_equal(out, "0:01  evaluating held-out rows");
    stage_words(&g, "", steps, 4, out);
    assert_string_equal(out, "0:01");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_least_important_goes_first),
        cmocka_unit_test(width_is_counted_in_columns),
        cmocka_unit_test(text_is_printable),
        cmocka_unit_test(a_sentence_may_be_cut),
        cmocka_unit_test(what_stays_is_cut_in_its_middle),
        cmocka_unit_test(colour_takes_no_column),
        cmocka_unit_test(every_width_is_kept),
        cmocka_unit_test(narrow_lines_hold_what_matters),
        cmocka_unit_test(each_stage_is_named_with_its_reason),
        cmocka_unit_test(a_share_that_has_ended_holds_nothing_up),
        cmocka_unit_test(the_time_left_is_told_where_a_rate_is_known),
        cmocka_unit_test(between_steps_only_what_lasts_is_named),
    };
    return cmocka_run_group_tests_name("line", tests, NULL, NULL);
}
