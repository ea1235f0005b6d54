/* The progress line: numbers, times, rates, how long it will take; and what it is read from. */
#include "cli/disk.h"
#include "cli/progress.h"
#include "cli/tail.h"

#include "base/err.h"
#include "base/fileio.h"
#include "runtime/left_out.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void number_is(double number, const char *text)
{
    char out[64];
    progress_number(number, out, sizeof out);
    assert_string_equal(out, text);
}

static void time_is(double seconds, const char *text)
{
    char out[64];
    progress_time(seconds, out, sizeof out);
    assert_string_equal(out, text);
}

static void numbers_and_times(void **state)
{
    (void)state;
    number_is(0, "0");
    number_is(999, "999");
    number_is(1000, "1,000");
    number_is(1234567, "1,234,567");
    number_is(-12345, "-12,345");
    number_is(-123, "-123");
    number_is(NAN, "-");
    time_is(0, "0:00");
    time_is(59.6, "1:00");
    time_is(3599, "59:59");
    time_is(3723, "1:02:03");
    time_is(NAN, "-");
}

static const char document[] =
    "{\"stream\": \"s\", \"bottleneck\": \"trainer-bound\", \"processes\": ["
    " {\"name\": \"capture-0\", \"kind\": \"capture\", \"age_seconds\": 100, \"report\": {"
    "   \"sluice_capture_tokens_total\": 1000, \"sluice_shed_rows_total\": 5,"
    "   \"sluice_capture_filtered_rows_total\": {\"first\": 2, \"norm\": 3},"
    "   \"sluice_stream_planned_rows\": 4000}},"
    " {\"name\": \"capture-1\", \"kind\": \"capture\", \"age_seconds\": 1, \"report\": {"
    "   \"sluice_capture_tokens_total\": 500, \"sluice_stream_planned_rows\": 4000}},"
    " {\"name\": \"sink\", \"kind\": \"sink\", \"age_seconds\": 1, \"report\": {"
    "   \"sluice_sink_rows_total\": 1400, \"sluice_buffer_slabs\": 20,"
    "   \"sluice_buffer_capacity_slabs\": 80}},"
    " {\"name\": \"trainer-old\", \"kind\": \"trainer\", \"age_seconds\": 60, \"report\": {"
    "   \"sluice_trainer_rows_total\": 1}},"
    " {\"name\": \"trainer-main\", \"kind\": \"trainer\", \"age_seconds\": 1, \"report\": {"
    "   \"sluice_trainer_rows_total\": 900, \"sluice_trainer_planned_rows\": 8000,"
    "   \"sluice_trainer_fve_ratio\": {\"a\": 0.75, \"b\": 0.5},"
    "   \"sluice_trainer_l0\": {\"a\": 32}, \"sluice_trainer_dead_features\": {\"a\": 10},"
    "   \"sluice_trainer_features\": {\"a\": 200}}},"
    " {\"name\": \"trainer-late\", \"kind\": \"trainer\", \"age_seconds\": 1, \"report\": {"
    "   \"sluice_trainer_rows_total\": 300, \"sluice_trainer_planned_rows\": 8000}}]}";

/* All columns, without limit. */
static void progress_text(const struct progress *p, char *out, size_t bytes)
{
    char text[1024];
    struct line line = {0};
    line_add(&line, LINE_COLUMN, LINE_ALWAYS, LINE_PLAIN, "0:01");
    progress_pieces(p, 0, &line);
    line_text(&line, 0, 0, text, sizeof text);
    snprintf(out, bytes, "%s", text + (line.count > 1 ? strlen("0:01  ") : strlen("0:01")));
}

static struct snapshot snapshot_of(const char *text)
{
    struct snapshot s;
    json_t *status = json_loads(text, 0, NULL);
    assert_non_null(status);
    snapshot_read(status, &s);
    json_decref(status);
    return s;
}

static void a_snapshot_adds_up(void **state)
{
    (void)state;
    struct snapshot s = snapshot_of(document);
    assert_true(s.tokens == 1500); /* a capture that is through counts, though it is silent */
    assert_true(s.shed_rows == 5 && s.filtered_rows == 5);
    assert_true(s.planned_rows == 4000 && s.stored_rows == 1400);
    assert_true(s.trained_rows == 300); /* of the one that is furthest behind */
    assert_int_equal(s.trainers, 2);    /* and not of one that is gone */
    assert_true(s.fve == 0.75 && s.l0 == 32 && s.dead == 10 && s.features == 200);
}

/* The first rows go through the model before they count as made: what a person sees stands still
 * meanwhile. */
static void tokens_never_go_back(void **state)
{
    (void)state;
    struct snapshot s = snapshot_of(document);
    struct progress p = {0};
    char line[512];
    progress_update(&p, &s, 1);
    s.tokens = 64;
    progress_update(&p, &s, 2);
    progress_text(&p, line, sizeof line);
    assert_int_equal(strncmp(line, "1,500 tokens", 12), 0);
    s.tokens = 1600;
    progress_update(&p, &s, 3);
    progress_text(&p, line, sizeof line);
    assert_int_equal(strncmp(line, "1,600 tokens", 12), 0);
}

static void a_snapshot_of_nothing_is_not_a_number(void **state)
{
    (void)state;
    struct snapshot s = snapshot_of("{}");
    char line[512];
    struct progress p = {0};
    assert_true(isnan(s.tokens) && isnan(s.fve) && isnan(s.trained_rows));
    progress_update(&p, &s, 1);
    progress_text(&p, line, sizeof line);
    assert_string_equal(line, ""); /* what nobody has said has no column */
}

/* Of the trainer that missed most, and another number than what was shed. */
static void rows_that_were_missed_are_in_the_line(void **state)
{
    (void)state;
    static const char live[] =
        "{\"processes\": ["
        " {\"name\": \"capture-0\", \"kind\": \"capture\", \"age_seconds\": 1, \"report\": {"
        "   \"sluice_capture_tokens_total\": 9, \"sluice_shed_rows_total\": 5}},"
        " {\"name\": \"trainer-a\", \"kind\": \"trainer\", \"age_seconds\": 1, \"report\": {"
        "   \"sluice_trainer_skipped_rows_total\": 7}},"
        " {\"name\": \"trainer-b\", \"kind\": \"trainer\", \"age_seconds\": 1, \"report\": {"
        "   \"sluice_trainer_skipped_rows_total\": 4000}}]}";
    struct snapshot s = snapshot_of(live);
    struct progress p = {0};
    char line[512];
    assert_true(s.missed_rows == 4000 && s.shed_rows == 5);
    progress_update(&p, &s, 1);
    progress_text(&p, line, sizeof line);
    assert_non_null(strstr(line, "4,000 missed | shed 5"));
}

/* JSON has no NaN: what is not known comes as null, and is no 0. */
static void null_is_not_zero(void **state)
{
    (void)state;
    struct snapshot s = snapshot_of(
        "{\"processes\": [{\"name\": \"trainer-main\", \"kind\": \"trainer\", \"age_seconds\": 1,"
        " \"report\": {\"sluice_trainer_fve_ratio\": {\"a\": null, \"b\": 1}, "
        "\"sluice_trainer_l0\": {\"a\": null}, \"sluice_trainer_dead_features\": {\"a\": null},"
        " \"sluice_trainer_features\": {\"a\": 64}}}]}");
    char line[512];
    struct progress p = {0};
    assert_true(isnan(s.fve) && isnan(s.l0) && isnan(s.dead));
    progress_update(&p, &s, 1);
    progress_text(&p, line, sizeof line);
    assert_null(strstr(line, "FVE"));
    assert_null(strstr(line, "nan"));
}

static void rates_and_the_time_that_is_left(void **state)
{
    (void)state;
    struct snapshot s = snapshot_of(document);
    struct progress p = {0};
    char line[512];
    progress_update(&p, &s, 0);
    assert_true(isnan(progress_eta(&p)));
    for (int second = 1; second <= 60; second++) {
        s.tokens += 100;
        s.stored_rows += 10;
        s.trained_rows += 50;
        progress_update(&p, &s, second);
    }
    assert_true(fabs(p.trained_rate - 50) < 1 && fabs(p.token_rate - 100) < 1);
    assert_true(fabs(progress_eta(&p) - (4000 - 2000) / 10.0) < 5); /* the slower of the two */
    p.is_finishing = 1;                                             /* then trainers alone count */
    assert_true(fabs(progress_eta(&p) - (8000 - 3300) / 50.0) < 5);
    p.is_finishing = 0;
    progress_text(&p, line, sizeof line);
    assert_non_null(strstr(line, "7,500 tokens 100/s | buffer 25% | trained 3,300 rows 50/s"));
    assert_non_null(strstr(line, "FVE 0.7500 L0 32.0 dead 5% | shed 5 | ETA 3:20"));
    s.tokens = 0; /* a producer began again: no rate is made of it */
    progress_update(&p, &s, 61);
    assert_true(p.token_rate > 0);
}

/* A trainer that goes on says 0 first, and then the rows of all its lives. */
static void rows_of_earlier_lives_are_no_rate(void **state)
{
    (void)state;
    struct progress p = {0};
    struct snapshot s = snapshot_of("{}");
    for (int second = 0; second < 3; second++) {
        s.trained_rows = second == 0 ? 0 : 9e6 + 100 * second;
        progress_update(&p, &s, second);
        if (second < 2) assert_true(isnan(p.trained_rate));
    }
    assert_true(fabs(p.trained_rate - 100) < 1);
}

/* Rows over all lives, documents as the farthest producer has them, and who cannot write. */
static const char told[] =
    "{\"stream\": \"s\", \"processes\": ["
    " {\"name\": \"capture-0\", \"kind\": \"capture\", \"age_seconds\": 100, \"report\": {"
    "   \"sluice_capture_tokens_total\": 10, \"sluice_capture_filtered_rows_total\": {\"norm\": 1},"
    "   \"sluice_capture_stream_rows\": {\"kept\": 800, \"special\": 1, \"first\": 19,"
    "      \"norm\": 30, \"rejected\": 2},"
    "   \"sluice_capture_documents_read\": 1234, \"sluice_capture_documents_replaced\": 0,"
    "   \"sluice_capture_documents_skipped\": {\"encoding\": 3, \"syntax\": 37},"
    "   \"sluice_capture_disk_waiting_seconds\": 9}},"
    " {\"name\": \"capture-1\", \"kind\": \"capture\", \"age_seconds\": 1, \"report\": {"
    "   \"sluice_capture_tokens_total\": 5,"
    "   \"sluice_capture_stream_rows\": {\"kept\": 148, \"special\": 0, \"first\": 0,"
    "      \"norm\": 0, \"rejected\": 0},"
    "   \"sluice_capture_documents_read\": 1000,"
    "   \"sluice_capture_documents_skipped\": {\"encoding\": 1}}},"
    " {\"name\": \"sink\", \"kind\": \"sink\", \"age_seconds\": 1, \"report\": {"
    "   \"sluice_sink_rows_total\": 14, \"sluice_stream_rows\": 940,"
    "   \"sluice_sink_disk_waiting_seconds\": 2.5, \"sluice_sink_disk_free_bytes\": 4096,"
    "   \"sluice_sink_disk_needed_bytes\": 262128}},"
    " {\"name\": \"trainer-main\", \"kind\": \"trainer\", \"age_seconds\": 1, \"report\": {"
    "   \"sluice_trainer_rows_total\": 500, \"sluice_trainer_held_out_rows\": 1000,"
    "   \"sluice_trainer_disk_waiting_seconds\": 0}}]}";

static void what_is_left_out_is_in_the_line(void **state)
{
    (void)state;
    struct snapshot s = snapshot_of(told);
    struct progress p = {0};
    char line[1024];
    assert_true(s.tokens == 1000 && s.filtered_rows == 50 && s.norm_rows == 30);
    assert_true(s.rejected_rows == 2);
    assert_true(s.documents == 1234 && s.skipped == 40 && s.replaced == 0);
    assert_true(s.stored_rows == 940 && s.life_rows == 14);
    progress_update(&p, &s, 1);
    progress_text(&p, line, sizeof line);
    assert_non_null(strstr(line, "1,000 tokens"));
    assert_non_null(strstr(line, " | 1,234 documents, 40 skipped, 5.0% filtered, 2 rejected, "
                                 "1,000 held out"));
}

/* The broker forgets a producer that has ended; its file does not. */
static void files_tell_of_producers_that_are_gone(void **state)
{
    (void)state;
    char dir[] = "/tmp/sluice-files-XXXXXX", text[128];
    struct config *config;
    struct snapshot s = snapshot_of(told), before = s;
    struct left_out l = {.has_corpus = 1, .documents = 5000, .kept_rows = 4000, .first_rows = 10};
    l.skipped[1] = 3;
    assert_non_null(mkdtemp(dir));
    snprintf(text, sizeof text, "stream: {name: t, run_dir: %s}\n", dir);
    assert_int_equal(config_parse(text, strlen(text), "t.yaml", NULL, 0, &config), ERR_OK);
    snapshot_take_files(config, &s);
    assert_true(s.tokens == before.tokens && s.documents == before.documents);
    assert_int_equal(left_out_write(config, 0, &l), ERR_OK);
    snapshot_take_files(config, &s);
    assert_true(s.tokens == 4010 && s.filtered_rows == 10 && s.rejected_rows == 0);
    assert_true(s.captured_rows == 4000);
    assert_true(s.documents == 5000 && s.skipped == 3);
    l.documents = 1; /* what was reported is newer */
    l.kept_rows = 1;
    l.shed_rows = 70; /* of the lives before this one, too */
    assert_int_equal(left_out_write(config, 0, &l), ERR_OK);
    s = before;
    s.shed_rows = 5;
    snapshot_take_files(config, &s);
    assert_true(s.shed_rows == 70);
    s.shed_rows = 71;
    snapshot_take_files(config, &s);
    assert_true(s.shed_rows == 71);
    assert_true(s.tokens == 1000 && s.documents == 1234);
    config_free(config);
    assert_int_equal(dir_remove(dir), ERR_OK);
}

static void a_full_disk_is_told_in_words(void **state)
{
    (void)state;
    char out[512], dir[] = "/tmp/sluice-disk-XXXXXX", text[128];
    struct config *config;
    struct snapshot s = snapshot_of(told);
    assert_non_null(mkdtemp(dir));
    snprintf(text, sizeof text, "stream: {name: t, run_dir: %s}\n", dir);
    assert_int_equal(config_parse(text, strlen(text), "t.yaml", NULL, 0, &config), 0);
    assert_true(s.sink_disk.seconds == 2.5);
    assert_true(isnan(s.capture_disk.seconds)); /* the one that said so is silent */
    assert_true(disk_notice(config, &s, out, sizeof out));
    snprintf(text, sizeof text,
             "the disk of %s/buffer is full: 0.0 MB free, needs 0.3 MB; capture "
             "waits",
             dir);
    assert_string_equal(out, text);
    s.sink_disk.seconds = 0; /* there is room again */
    assert_false(disk_notice(config, &s, out, sizeof out));
    assert_string_equal(out, "");
    s.trainer_disk = (struct disk_wait){1, 5e6, 8e6, "trainer-main"};
    assert_true(disk_notice(config, &s, out, sizeof out));
    assert_non_null(strstr(out, "/main is full: 5.0 MB free, needs 8.0 MB; checkpoints wait"));
    s.trainer_disk.free_bytes = 1e9; /* another error than that of a full disk */
    assert_true(disk_notice(config, &s, out, sizeof out));
    assert_non_null(strstr(out, "could not be written just now, the log of trainer-main "));
    s.trainer_disk.seconds = NAN;
    s.capture_disk.seconds = 3;
    assert_true(disk_notice(config, &s, out, sizeof out));
    config_free(config);
    rmdir(dir);
}

/* However long the folder's path is: the words are those of above, and its end is there. */
static void a_long_folder_cuts_no_words(void **state)
{
    (void)state;
    char out[512], text[1024];
    for (int length = 100; length <= 800; length += 50) {
        struct config *config;
        struct snapshot s = snapshot_of(told);
        snprintf(text, sizeof text, "stream: {name: t, run_dir: /tmp/%0*d}\n", length, 7);
        assert_int_equal(config_parse(text, strlen(text), "t.yaml", NULL, 0, &config), 0);
        assert_true(disk_notice(config, &s, out, sizeof out));
        if (strncmp(out, "the disk of ", 12) != 0 ||
            !strstr(out, "07/buffer is full: 0.0 MB free, needs 0.3 MB; capture waits"))
            fail_msg("%s", out);
        s.sink_disk.free_bytes = 1e9;
        assert_true(disk_notice(config, &s, out, sizeof out));
        if (!strstr(out, "07/buffer could not be written just now, the log of "))
            fail_msg("%s", out);
        config_free(config);
    }
}

static void the_tail_of_a_log(void **state)
{
    (void)state;
    char path[] = "/tmp/sluice-tail-XXXXXX", out[TAIL_MESSAGE_BYTES];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    dprintf(fd, "time=1 level=info process=x msg=\"one\"\n"
                "time=2 level=error process=x msg=\"broke \\\"it\\\"\" code=3\n");
    off_t from = tail_size(path);
    tail_message(path, 0, out, sizeof out);
    assert_string_equal(out, "broke it code=3");
    tail_message(path, from, out, sizeof out);
    assert_string_equal(out, "");
    dprintf(fd, "time=3 level=info process=x msg=two\n");
    tail_message(path, from, out, sizeof out);
    assert_string_equal(out, "two");
    tail_error(path, 0, out, sizeof out);
    assert_string_equal(out, "broke it code=3");
    tail_error(path, from, out, sizeof out);
    assert_string_equal(out, "");
    for (int i = 0; i < 5000; i++) dprintf(fd, "time=4 level=info process=x msg=\"line %d\"\n", i);
    tail_message(path, from, out, sizeof out);
    assert_string_equal(out, "line 4999");
    close(fd);
    unlink(path);
    tail_message(path, 0, out, sizeof out);
    assert_string_equal(out, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_and_times),
        cmocka_unit_test(a_snapshot_adds_up),
        cmocka_unit_test(tokens_never_go_back),
        cmocka_unit_test(rows_of_earlier_lives_are_no_rate),
        cmocka_unit_test(a_snapshot_of_nothing_is_not_a_number),
        cmocka_unit_test(rows_that_were_missed_are_in_the_line),
        cmocka_unit_test(null_is_not_zero),
        cmocka_unit_test(rates_and_the_time_that_is_left),
        cmocka_unit_test(what_is_left_out_is_in_the_line),
        cmocka_unit_test(files_tell_of_producers_that_are_gone),
        cmocka_unit_test(a_full_disk_is_told_in_words),
        cmocka_unit_test(a_long_folder_cuts_no_words),
        cmocka_unit_test(the_tail_of_a_log),
    };
    return cmocka_run_group_tests_name("progress", tests, NULL, NULL);
}
