/* When points are written and what is in them, of real autoencoders; that a month of them stays small;
 * and that a disk which takes nothing is told once, counted, and in nobody's way. */
#include "trainer/curves.h"

#include "base/err.h"
#include "base/fileio.h"
#include "runtime/process.h"
#include "trainer/gauges.h"
#include "trainer/histogram.h"

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { WIDTH = 4, FEATURES = 16, ROWS = 64, SAES = 2, MONTH_SECONDS = 30 * 24 * 3600 };

static struct config *config;
static struct training t;
static struct sae_options options[SAES];
static struct sae *saes[SAES];
static struct sae_eval evals[SAES];
static struct sae_step steps[SAES];

static void begin_life(uint64_t from_steps)
{
    t.steps = from_steps;
    t.rows = from_steps * ROWS;
    t.life_rows = t.evaluated_steps = 0;
    t.started_ns = process_now_ns();
    memset(evals, 0, sizeof evals);
    if (curves_open(&t) != ERR_OK) fail_msg("%s", err_text());
}

static void end_life(void)
{
    curves_close(t.curves);
    t.curves = NULL;
}

/* One step, as training.c makes it; all rows alike, so that k features fire in each. */
static void step(void)
{
    float x[ROWS * WIDTH];
    struct row_id ids[ROWS] = {{0}};
    for (int i = 0; i < ROWS * WIDTH; i++) x[i] = (float)(1 + i % WIDTH);
    for (int i = 0; i < SAES; i++)
        assert_int_equal(sae_train(saes[i], &(struct sae_batch){x, ids, ROWS}, &steps[i]), ERR_OK);
    t.steps++;
    t.rows += ROWS;
    t.life_rows += ROWS;
}

static void evaluate(double fve)
{
    evals[0] = (struct sae_eval){.rows = TRAINING_FVE_ROWS, .fve = fve, .mse = 2, .l0 = 1};
    t.evaluated_steps = t.steps;
}

static char *lines(void)
{
    char path[CONFIG_PATH_BYTES + 32], *data;
    size_t bytes;
    curves_jsonl_path(&t, path, sizeof path);
    if (file_read(path, 1 << 24, &data, &bytes) != ERR_OK) return strdup("");
    return data;
}

/* The lines of the first autoencoder: their steps, and the last one. */
static json_t *last_line(char *told_steps)
{
    char *text = lines(), *rest = text;
    json_t *last = NULL;
    told_steps[0] = '\0';
    for (char *line; (line = strsep(&rest, "\n")) && *line;) {
        json_t *object = json_loads(line, 0, NULL);
        if (!object) fail_msg("no JSON: %s", line);
        if (strcmp(json_string_value(json_object_get(object, "sae")), "one") != 0) {
            json_decref(object);
            continue;
        }
        json_decref(last);
        last = object;
        sprintf(told_steps + strlen(told_steps), "%d ",
                (int)json_integer_value(json_object_get(object, "step")));
    }
    free(text);
    return last;
}

static void points_come_with_the_logarithm_of_the_steps_at_first(void **state)
{
    (void)state;
    char told[256];
    begin_life(0);
    for (int i = 0; i < 30; i++) {
        step();
        if (t.steps == 7) evaluate(0.5);
        curves_look(&t);
    }
    evaluate(0.75);
    curves_end(&t);
    end_life();
    json_t *last = last_line(told);
    assert_string_equal(told, "1 2 4 7 11 17 26 30 ");
    assert_true(json_number_value(json_object_get(last, "fve")) == 0.75);
    assert_int_equal(json_integer_value(json_object_get(last, "held_out_step")), 30);
    assert_int_equal(json_integer_value(json_object_get(last, "rows")), 30 * ROWS);
    assert_true(json_number_value(json_object_get(last, "batch_l0")) == 1);
    assert_true(json_is_null(json_object_get(last, "lambda")));
    assert_true(json_number_value(json_object_get(last, "rows_per_second")) > 0);
    json_decref(last);
}

static void a_resume_goes_on_from_its_checkpoint(void **state)
{
    (void)state;
    char told[256];
    begin_life(0);
    while (t.steps < 12) {
        step();
        curves_look(&t);
    }
    end_life();
    begin_life(7); /* as if it was killed */
    while (t.steps < 12) {
        step();
        curves_look(&t);
    }
    curves_end(&t);
    end_life();
    json_decref(last_line(told));
    assert_string_equal(told, "1 2 4 7 11 12 "); /* the next one is due at 7 + 7 / 2 + 1 */
    begin_life(12);                              /* nothing is left to do */
    curves_end(&t);
    end_life();
    json_t *last = last_line(told);
    assert_string_equal(told, "1 2 4 7 11 12 ");
    assert_false(json_is_null(json_object_get(last, "loss"))); /* the life before knew it */
    json_decref(last);
}

static uint64_t size_below(const char *path)
{
    struct stat st;
    struct dirent *entry;
    uint64_t bytes = 0;
    DIR *dir = opendir(path);
    if (!dir) return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
    while ((entry = readdir(dir))) {
        char below[CONFIG_PATH_BYTES];
        snprintf(below, sizeof below, "%.3000s/%.255s", path, entry->d_name);
        if (entry->d_name[0] != '.') bytes += size_below(below);
    }
    closedir(dir);
    return bytes;
}

static uint64_t bytes_of_all(void)
{
    char path[CONFIG_PATH_BYTES + 32], folder[CONFIG_PATH_BYTES + 32];
    curves_jsonl_path(&t, path, sizeof path);
    curves_tensorboard_path(&t, folder, sizeof folder);
    return size_below(path) + size_below(folder);
}

/* Step to a step at which a point is due: the bytes that it takes, of both autoencoders. */
static double bytes_of_point(uint64_t at)
{
    while (t.steps < at - 1) {
        step();
        curves_look(&t);
    }
    uint64_t before = bytes_of_all();
    step();
    evaluate(0.123456789);
    curves_look(&t);
    assert_true(bytes_of_all() > before);
    return (double)(bytes_of_all() - before);
}

/* By the rules for the time between two points, and what a point took. (Norms here are all 1 and have
 * one bucket.) */
static void a_month_stays_small(void **state)
{
    (void)state;
    double least = config->trainer.curves_seconds, next = 0;
    int points = 0, histograms = 0;
    assert_true(least == 10); /* the default */
    begin_life(0);
    double plain = bytes_of_point(7), with_histograms = bytes_of_point(11);
    end_life();
    assert_true(with_histograms > plain + 1024);
    with_histograms += 2 * HISTOGRAM_BUCKETS * sizeof(double);
    for (double s = 0; s < MONTH_SECONDS; s += curves_gap_seconds(s, least)) {
        points++;
        if (s < next) continue;
        histograms++;
        next = s + curves_histogram_gap_seconds(s, least);
    }
    double mib = (points * plain + histograms * with_histograms) / (1 << 20);
    print_message("%d points of %.0f bytes, %d more with %.0f: %.1f MiB\n", points, plain,
                  histograms, with_histograms, mib);
    assert_true(points > 5000 && mib < 24);
}

/* Points of lines and of two autoencoders' events. */
static void a_full_disk_is_told_once_and_counted(void **state)
{
    (void)state;
    struct rlimit before, none;
    char told[256], said[4096];
    int ends[2], err = dup(STDERR_FILENO);
    begin_life(0);
    step();
    curves_look(&t);
    assert_int_equal(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    none = (struct rlimit){0, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &none);
    while (t.steps < 7) {
        step();
        curves_look(&t);
    }
    setrlimit(RLIMIT_FSIZE, &before);
    while (t.steps < 11) {
        step();
        curves_look(&t);
    }
    dup2(err, STDERR_FILENO);
    close(err);
    close(ends[1]);
    ssize_t n = read(ends[0], said, sizeof said - 1);
    close(ends[0]);
    end_life();
    said[n > 0 ? n : 0] = '\0';
    char *lost = strstr(said, "a point of the curves is lost");
    if (!lost || strstr(lost + 1, "a point of the curves") ||
        !strstr(lost, "the curves are written again"))
        fail_msg("the log says: %s", said);
    /* at 2, 4 and 7: the lines, and both autoencoders' events */
    assert_true(metrics_value(t.options.metrics, GAUGE_LOST_CURVES) == 3 * (1 + SAES));
    json_decref(last_line(told));
    assert_string_equal(told, "1 11 ");
}

static void each_kind_can_be_switched_off(void **state)
{
    (void)state;
    static const int kinds[] = {CONFIG_CURVES_OFF, CONFIG_CURVES_JSONL, CONFIG_CURVES_TENSORBOARD};
    char path[CONFIG_PATH_BYTES + 32];
    for (int i = 0; i < 3; i++) {
        config->trainer.curves = kinds[i];
        begin_life(0);
        step();
        curves_look(&t);
        curves_end(&t);
        end_life();
        snprintf(path, sizeof path, "%s/metrics.jsonl", t.dir);
        assert_int_equal(access(path, F_OK) == 0, kinds[i] == CONFIG_CURVES_JSONL);
        unlink(path);
        snprintf(path, sizeof path, "%s/tensorboard", t.dir);
        assert_int_equal(access(path, F_OK) == 0, kinds[i] == CONFIG_CURVES_TENSORBOARD);
    }
}

static int open_all(void **state)
{
    static const char text[] = "stream: { name: test, run_dir: /tmp/x }\n"
                               "capture: { engine: synthetic }\n"
                               "trainer: { saes: [ { name: one, arch: topk, features: 16, k: 1 },\n"
                               "                   { name: rows, arch: count } ] }\n";
    (void)state;
    if (config_parse(text, strlen(text), "test", NULL, 0, &config) != ERR_OK) return -1;
    t = (struct training){.config = config, .sae = saes, .eval = evals, .step = steps};
    t.plan.saes = SAES;
    t.plan.sae = options;
    for (int i = 0; i < SAES; i++) {
        sae_options_default(i ? SAE_COUNT : SAE_TOPK, &options[i]);
        options[i].width = WIDTH;
        options[i].features = i ? 0 : FEATURES;
        options[i].k = i ? 0 : 1;
        options[i].batch_rows = ROWS;
        if (sae_new(&options[i], &saes[i]) != ERR_OK) return -1;
    }
    return metrics_new(trainer_gauges, GAUGES, &t.options.metrics) != ERR_OK;
}

static int close_all(void **state)
{
    (void)state;
    for (int i = 0; i < SAES; i++) sae_free(saes[i]);
    metrics_free(t.options.metrics);
    config_free(config);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    strcpy(t.dir, "/tmp/sluice-curves-XXXXXX");
    config->trainer.curves = CONFIG_CURVES_ALL;
    if (!mkdtemp(t.dir)) return -1;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return dir_remove(t.dir);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(points_come_with_the_logarithm_of_the_steps_at_first),
        TEST(a_resume_goes_on_from_its_checkpoint),
        TEST(a_month_stays_small),
        TEST(a_full_disk_is_told_once_and_counted),
        TEST(each_kind_can_be_switched_off),
    };
    return cmocka_run_group_tests_name("curves", tests, open_all, close_all);
}
