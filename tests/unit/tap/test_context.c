/*
 * A context with the tap's callback in it, passes as the wrappers tell of them, and settings that change
 * between two of them.
 */
#include "tests/tiny_models.h"

#include <llama.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "base/model_file.h"
#include "tap/context.h"
#include "tap/models.h"
#include "tap/steering.h"
#include "tests/unit/client/ring_reader.h"
#include "tests/unit/tap/adding_table.h"

enum { LAYERS = 5, SLOTS = 4 };

static char folder[256], path[300];
static struct llama_model *model;

static void quiet(enum ggml_log_level level, const char *text, void *arg)
{
    (void)level, (void)text, (void)arg;
}

static struct tap_settings settings_of(const char *hooks)
{
    struct tap_settings s = {.on = 1, .is_f32 = 1, .ring_bytes = 1000000, .stream = "live"};
    snprintf(s.folder, sizeof s.folder, "%s", folder);
    for (const char *at = hooks; *at; at += *at == ',') {
        size_t n = strcspn(at, ",");
        memcpy(s.hooks[s.hooks_count++], at, n);
        at += n;
    }
    return s;
}

static void apply(const struct tap_settings *s)
{
    struct tap_change change = {.settings = s};
    char text[400];
    if (tap_set(&change, text, sizeof text) != ERR_OK) fail_msg("%s", text);
}

static int steer(const char *table, int keeps_steered, char *why, size_t bytes)
{
    struct tap_change change = {.steer = table, .keeps_steered = keeps_steered};
    return tap_set(&change, why, bytes);
}

static int begin(void **state)
{
    static struct tap_start start;
    const char *tmp = getenv("TMPDIR");
    (void)state;
    snprintf(folder, sizeof folder, "%s/tap-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s.gguf", folder);
    struct tiny tiny = {.architecture = "llama", .layers = LAYERS, .seed = 1};
    tiny_write(path, &tiny);
    llama_log_set(quiet, NULL);
    model = llama_model_load_from_file(path, llama_model_default_params());
    models_note(model, path);
    start.settings = settings_of("resid_post.0");
    snprintf(start.steer, sizeof start.steer, "%s/no-such-table", folder);
    return model && tap_begin(&start) == ERR_OK ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    llama_model_free(model);
    unlink(path);
    return rmdir(folder);
}

/* ---- contexts and passes ---- */

static struct context *opened(void)
{
    struct llama_context_params p = llama_context_default_params();
    p.n_ctx = 512;
    p.n_batch = 128;
    p.n_seq_max = SLOTS;
    p.n_threads = p.n_threads_batch = 1;
    p.kv_unified = true;
    struct context *c = context_prepare(model, &p);
    assert_non_null(c);
    struct llama_context *llama = llama_init_from_model(model, p);
    assert_non_null(llama);
    context_settle(c, llama);
    assert_ptr_equal(context_of(llama), c);
    return c;
}

static void closed(struct context *c)
{
    struct llama_context *llama = c->llama;
    assert_ptr_equal(context_take_out(llama), c);
    llama_free(llama);
    context_release(c);
    assert_null(context_of(llama));
}

/* `told`: what the program is told that the pass was, 0 as it is. */
static void decode(struct context *c, int32_t slot, int32_t from, int32_t to, int32_t told)
{
    struct llama_batch b = llama_batch_init(128, 0, 1);
    for (int32_t position = from; position < to; position++) {
        int i = b.n_tokens++;
        b.token[i] = (slot * 31 + position * 7) % 250;
        b.pos[i] = position;
        b.n_seq_id[i] = 1;
        b.seq_id[i][0] = slot;
        b.logits[i] = 1;
    }
    context_begin(c, &b);
    assert_int_equal(llama_decode(c->llama, b), 0);
    context_end(c, told);
    llama_batch_free(b);
}

/* ---- rings ---- */

static struct ring_view view_of_folder(void)
{
    struct ring_view view;
    assert_int_equal(view_open(folder, &view), 0);
    unlink(view.path); /* the next one is alone there */
    return view;
}

static uint64_t count_of(const struct ring_view *view, enum ring_count count)
{
    return atomic_load(&view->ring->host.count[count]);
}

/* The next row: its sequence, position, and values; NULL: there is none. */
static const float *next(struct ring_view *view, struct row_id *id)
{
    struct ring_record *r;
    while ((r = view_next(view)) && r->flags & RING_ROW_NONE) view_done(view);
    if (!r) return NULL;
    *id = r->id;
    view_done(view);
    return (const float *)(r + 1);
}

static void next_is(struct ring_view *view, uint64_t sequence, uint32_t position)
{
    struct row_id id;
    assert_non_null(next(view, &id));
    assert_int_equal(id.sequence, sequence);
    assert_int_equal(id.position, position);
}

static void is_empty(struct ring_view *view)
{
    struct row_id id;
    assert_null(next(view, &id));
}

/* ---- cases ---- */

/* The first that there is. Another program may have taken the table. */
static void a_table_that_is_gone_is_told_with_the_first_context(void **state)
{
    struct tap_status before, after;
    (void)state;
    tap_status(&before);
    struct context *c = opened();
    tap_status(&after);
    assert_string_equal(before.steering_refusal, "");
    assert_non_null(strstr(after.steering_refusal, "no-such-table"));
    assert_non_null(strstr(after.steering_refusal, "HINT"));
    closed(c);
}

static void a_pass_that_fails_begins_other_sequences(void **state)
{
    (void)state;
    struct tap_settings s = settings_of("resid_post.1");
    apply(&s);
    struct context *c = opened();
    decode(c, 0, 0, 1, 0);
    decode(c, 0, 1, 2, -3); /* its tokens stayed in the cache */
    decode(c, 0, 2, 3, 0);
    struct ring_view view = view_of_folder();
    next_is(&view, 1, 0);
    next_is(&view, 2, 2);
    is_empty(&view);
    assert_int_equal(count_of(&view, RING_ABANDONED), 1);
    assert_int_equal(count_of(&view, RING_OFFERED), 3);
    view_close(&view);
    closed(c);
}

static void it_is_switched_while_it_runs(void **state)
{
    (void)state;
    struct tap_settings s = settings_of("resid_post.0"), now;
    apply(&s);
    struct context *c = opened();
    decode(c, 0, 0, 1, 0);
    s.on = 0;
    apply(&s);
    decode(c, 0, 1, 3, 0);
    decode(c, 1, 0, 2, 0);
    s.on = 1;
    apply(&s);
    decode(c, 0, 3, 4, 0);
    decode(c, 1, 2, 3, 0);
    struct ring_view view = view_of_folder();
    next_is(&view, 1, 0);
    next_is(&view, 1, 3);
    next_is(&view, 2, 2);
    is_empty(&view);
    assert_int_equal(count_of(&view, RING_REUSED), 0);
    tap_settings_now(&now);
    assert_true(now.on);
    view_close(&view);
    closed(c);
}

static void other_hooks_have_another_ring(void **state)
{
    (void)state;
    struct tap_settings s = settings_of("resid_post.1");
    apply(&s);
    struct context *c = opened();
    decode(c, 0, 0, 2, 0);
    struct ring_view old = view_of_folder();
    s = settings_of("resid_post.1,resid_post.3");
    apply(&s);
    decode(c, 0, 2, 3, 0);
    struct ring_view new = view_of_folder();
    assert_int_equal(old.ring->facts.hooks, 1);
    assert_true(atomic_load(&old.ring->host.is_closed));
    assert_int_equal(new.ring->facts.hooks, 2);
    assert_string_equal(new.ring->facts.hook[1].name, "resid_post.3");
    next_is(&old, 1, 0);
    next_is(&old, 1, 1);
    is_empty(&old);
    next_is(&new, 1, 2);
    is_empty(&new);
    view_close(&old);
    view_close(&new);
    closed(c);
}

static double rate_of(const struct ring_view *view)
{
    return RING_UNITS_PER_SECOND / (double)atomic_load(&view->ring->control.interval);
}

/* By rows and by bytes: the lower holds, whichever is told first, and for as long as it is told. */
static void both_limits_hold(void **state)
{
    struct tap_settings s = settings_of("resid_post.1,resid_post.2"), now;
    (void)state;
    s.bytes_per_second = UINT64_C(100) * 2 * TINY_WIDTH * sizeof(float);
    apply(&s);
    struct context *c = opened();
    decode(c, 0, 0, 1, 0);
    struct ring_view view = view_of_folder();
    assert_true(fabs(rate_of(&view) - 100) < 1e-3);
    s.rows_per_second = 500;
    apply(&s);
    assert_true(fabs(rate_of(&view) - 100) < 1e-3);
    s.rows_per_second = 50;
    apply(&s);
    assert_true(fabs(rate_of(&view) - 50) < 1e-3);
    s.rows_per_second = 0;
    apply(&s);
    assert_true(fabs(rate_of(&view) - 100) < 1e-3);
    tap_settings_now(&now);
    assert_true(now.rows_per_second == 0); /* as it was told */
    assert_int_equal(now.bytes_per_second, s.bytes_per_second);
    atomic_store(&view.ring->control.interval, (uint64_t)(RING_UNITS_PER_SECOND / 20));
    tap_settings_now(&now);
    assert_true(fabs(now.rows_per_second - 20) < 1e-3); /* by the reader */
    s.bytes_per_second = 1;
    apply(&s);
    assert_true(fabs(rate_of(&view) - 1.0 / (2 * TINY_WIDTH * sizeof(float))) < 1e-6);
    s.bytes_per_second = 0;
    apply(&s);
    assert_int_equal(atomic_load(&view.ring->control.interval), 0);
    view_close(&view);
    closed(c);
}

static void refused(const char *hooks, double share, const char *words)
{
    char text[400];
    struct tap_settings s = settings_of(hooks), before, after;
    struct tap_change change = {.settings = &s};
    tap_settings_now(&before);
    s.share = share;
    assert_int_equal(tap_set(&change, text, sizeof text), ERR_USAGE);
    if (!strstr(text, words)) fail_msg("no '%s' in: %s", words, text);
    tap_settings_now(&after);
    assert_memory_equal(&before, &after, sizeof after);
}

static void settings_that_make_no_sense_change_nothing(void **state)
{
    (void)state;
    struct tap_settings s = settings_of("resid_post.2");
    apply(&s);
    struct context *c = opened();
    decode(c, 0, 0, 1, 0);
    refused("resid_post.7", 0, "the model has layers 0 to 4");
    refused("resid_post.4", 0, "layer 3 or below");
    refused("", 0, "no hook is named");
    refused("resid_post.2", 1.5, "a share of 1.5");
    decode(c, 0, 1, 2, 0);
    struct ring_view view = view_of_folder();
    next_is(&view, 1, 0);
    next_is(&view, 1, 1);
    view_close(&view);
    closed(c);
}

/* A node that the model does not have is seen with the first pass; better hooks mend it. */
static void a_refusal_ends_with_other_hooks(void **state)
{
    (void)state;
    struct tap_status status;
    struct tap_settings s = settings_of("no_such_node-1");
    apply(&s);
    struct context *c = opened();
    decode(c, 0, 0, 3, 0);
    tap_status(&status);
    assert_false(status.is_tapping);
    assert_non_null(strstr(status.refusal, "no_such_node-1"));
    s = settings_of("resid_post.3");
    apply(&s);
    decode(c, 0, 3, 4, 0);
    tap_status(&status);
    assert_true(status.is_tapping);
    assert_string_equal(status.refusal, "");
    assert_string_equal(status.model_file, path);
    assert_int_equal(status.contexts, 1);
    assert_int_equal(status.counters.written_rows, 1);
    assert_int_equal(status.learning_rows, 3);
    struct ring_view view = view_of_folder();
    next_is(&view, 1, 3);
    view_close(&view);
    closed(c);
}

static void a_pass_that_fails_teaches_nothing(void **state)
{
    (void)state;
    struct tap_settings s = settings_of("attn_out.1");
    apply(&s);
    struct context *c = opened();
    decode(c, 0, 0, 2, 1);
    decode(c, 0, 2, 4, 0); /* this one does */
    decode(c, 0, 4, 5, 0);
    struct ring_view view = view_of_folder();
    next_is(&view, 1, 4);
    is_empty(&view);
    view_close(&view);
    closed(c);
}

/* ---- steering ---- */

static void write_table(const char *file)
{
    struct adding_table table;
    size_t bytes = adding_table(&table, TINY_WIDTH, 2);
    FILE *f = fopen(file, "w");
    assert_int_equal(fwrite(&table, bytes, 1, f), 1);
    fclose(f);
}

static void copy_row(struct ring_view *view, float *to)
{
    struct row_id id;
    const float *values = next(view, &id);
    assert_non_null(values);
    memcpy(to, values, 2 * TINY_WIDTH * sizeof *to);
}

/* Rows are captured before the change, and the layers above see it. */
static void rows_are_changed_behind_the_capture(void **state)
{
    float plain[2 * TINY_WIDTH], changed[2 * TINY_WIDTH];
    char file[sizeof folder + 8], why[256];
    struct tap_settings s = settings_of("resid_post.2,resid_post.3");
    struct tap_status before, after;
    (void)state;
    apply(&s);
    struct context *c = opened();
    decode(c, 0, 0, 1, 0);
    llama_memory_clear(llama_get_memory(c->llama), true);
    slots_renew(&c->slots, -1);
    tap_status(&before);
    snprintf(file, sizeof file, "%s.steer", folder);
    write_table(file);
    assert_int_equal(steer(file, 1, why, sizeof why), ERR_OK);
    unlink(file);
    decode(c, 0, 0, 1, 0);
    s.on = 0; /* steered, and not captured */
    apply(&s);
    decode(c, 0, 1, 4, 0);
    assert_int_equal(steer("", 0, why, sizeof why), ERR_OK);
    decode(c, 0, 4, 6, 0);
    tap_status(&after);
    struct ring_view view = view_of_folder();
    copy_row(&view, plain);
    copy_row(&view, changed);
    is_empty(&view);
    assert_memory_equal(plain, changed, TINY_WIDTH * sizeof *plain);
    assert_memory_not_equal(plain + TINY_WIDTH, changed + TINY_WIDTH, TINY_WIDTH * sizeof *plain);
    assert_int_equal(after.steered_rows - before.steered_rows, 4);
    assert_int_equal(after.stale_tokens - before.stale_tokens, 2); /* the last two, unsteered */
    view_close(&view);
    closed(c);
}

static void steer_by_a_table(void)
{
    char file[sizeof folder + 8], why[256];
    snprintf(file, sizeof file, "%s.steer", folder);
    write_table(file);
    if (steer(file, 1, why, sizeof why) != ERR_OK) fail_msg("%s", why);
    unlink(file);
}

static void steer_no_more(void)
{
    char why[256];
    assert_int_equal(steer("", 0, why, sizeof why), ERR_OK);
}

/* The program tries again, and then it counts. */
static void a_pass_that_fails_leaves_nothing_out(void **state)
{
    struct tap_settings s = settings_of("resid_post.1");
    char file[sizeof folder + 8], why[256];
    (void)state;
    apply(&s);
    snprintf(file, sizeof file, "%s.steer", folder);
    write_table(file);
    assert_int_equal(steer(file, 0, why, sizeof why), ERR_OK);
    unlink(file);
    struct context *c = opened();
    decode(c, 0, 0, 3, 1);
    llama_memory_clear(llama_get_memory(c->llama), true);
    decode(c, 0, 0, 3, 0);
    struct ring_view view = view_of_folder();
    assert_int_equal(count_of(&view, RING_STEERED), 3);
    view_close(&view);
    steer_no_more();
    closed(c);
}

static void a_pass_that_learns_is_steered_too(void **state)
{
    struct tap_settings s = settings_of("attn_out.1");
    struct tap_status before, after;
    (void)state;
    apply(&s);
    steer_by_a_table();
    struct context *c = opened();
    tap_status(&before);
    decode(c, 0, 0, 3, 0);
    tap_status(&after);
    assert_int_equal(after.learning_rows - before.learning_rows, 3);
    assert_int_equal(after.steered_rows - before.steered_rows, 3);
    decode(c, 0, 3, 4, 0);
    struct ring_view view = view_of_folder();
    next_is(&view, 1, 3);
    is_empty(&view);
    view_close(&view);
    steer_no_more();
    closed(c);
}

/* As wide, and not the one that the SAE was told for. */
static void another_model_is_not_steered(void **state)
{
    struct llama_model *first = model;
    struct tap_settings s = settings_of("resid_post.1");
    struct tiny tiny = {.architecture = "llama", .layers = LAYERS, .seed = 2};
    struct tap_status before, after;
    char other[sizeof path + 8];
    (void)state;
    s.on = 0;
    apply(&s);
    steer_by_a_table();
    struct context *c = opened();
    decode(c, 0, 0, 1, 0);
    tap_forget_model(model);
    tap_status(&before);
    decode(c, 0, 1, 2, 0); /* the same again */
    tap_status(&after);
    assert_int_equal(after.steered_rows - before.steered_rows, 1);
    closed(c);
    tap_forget_model(model);
    snprintf(other, sizeof other, "%s.other", path);
    tiny_write(other, &tiny);
    model = llama_model_load_from_file(other, llama_model_default_params());
    models_note(model, other);
    tap_status(&before);
    c = opened();
    decode(c, 0, 0, 1, 0);
    tap_status(&after);
    assert_int_equal(after.steered_rows, before.steered_rows);
    assert_non_null(strstr(after.steering_refusal, "another"));
    closed(c);
    tap_forget_model(model);
    models_forget(model);
    llama_model_free(model);
    unlink(other);
    model = first;
    steer_no_more();
    struct ring_view view;
    while (view_open(folder, &view) == 0) view_close(&view);
}

/* What is under its path now is not what the program computes with. */
static void a_models_key_is_of_what_was_loaded(void **state)
{
    struct llama_model *first = model;
    struct tap_settings s = settings_of("resid_post.1");
    struct tiny tiny = {.architecture = "llama", .layers = LAYERS, .seed = 3};
    struct tap_status status;
    char other[sizeof path + 8];
    uint64_t key, later;
    (void)state;
    apply(&s);
    tap_forget_model(model);
    snprintf(other, sizeof other, "%s.other", path);
    tiny_write(other, &tiny);
    model = llama_model_load_from_file(other, llama_model_default_params());
    assert_int_equal(model_file_key(other, &key), ERR_OK);
    models_note(model, other);
    unlink(other);
    tiny.seed = 4;
    tiny_write(other, &tiny);
    assert_int_equal(model_file_key(other, &later), ERR_OK);
    assert_true(key != later);
    struct context *c = opened();
    decode(c, 0, 0, 1, 0);
    struct ring_view view = view_of_folder();
    assert_true(view.ring->facts.model_key == key);
    assert_string_equal(view.ring->facts.model_file, other);
    view_close(&view);
    closed(c);
    tap_forget_model(model);
    models_forget(model); /* as if it was loaded in a way that is not known */
    c = opened();
    decode(c, 0, 0, 1, 0);
    tap_status(&status);
    assert_false(status.is_tapping);
    assert_non_null(strstr(status.refusal, "the file of the model is not known"));
    closed(c);
    tap_forget_model(model);
    llama_model_free(model);
    unlink(other);
    model = first;
}

/* A table of somebody who lies: rows that it changes would pass for plain ones, or for numbers. */
static void a_table_that_lies_is_refused(void **state)
{
    static const struct {
        long at;
        float value;
    } lies[] = {{offsetof(struct steer_facts, setting), 0},
                {sizeof(struct steer_facts) + 4, INFINITY},
                {sizeof(struct steer_facts) + 4, NAN}};
    char file[sizeof folder + 8], why[256];
    (void)state;
    snprintf(file, sizeof file, "%s.steer", folder);
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        write_table(file);
        FILE *f = fopen(file, "r+");
        fseek(f, lies[i].at, SEEK_SET);
        fwrite(&lies[i].value, sizeof lies[i].value, 1, f);
        fclose(f);
        assert_int_equal(steer(file, 0, why, sizeof why), ERR_FORMAT);
    }
    write_table(file);
    assert_int_equal(chmod(file, 0666), 0);
    assert_int_equal(steer(file, 0, why, sizeof why), ERR_USAGE);
    unlink(file);
}

/* Who is refused a part of what is asked has nothing of it. */
static void all_is_changed_or_nothing(void **state)
{
    char file[sizeof folder + 8], why[256];
    struct tap_settings s = settings_of("resid_post.3"), before, after;
    struct tap_change change = {.settings = &s, .steer = file};
    struct tap_status status;
    (void)state;
    s.on = 0;
    apply(&s);
    struct context *c = opened();
    decode(c, 0, 0, 1, 0); /* the model is there */
    tap_settings_now(&before);
    s.share = 0.5;
    snprintf(file, sizeof file, "%s.steer", folder);
    assert_int_equal(tap_set(&change, why, sizeof why), ERR_NOTFOUND);
    write_table(file);
    FILE *f = fopen(file, "r+");
    fseek(f, offsetof(struct steer_facts, node), SEEK_SET);
    fputs("l_out-4", f); /* the last layer */
    fclose(f);
    assert_int_equal(tap_set(&change, why, sizeof why), ERR_USAGE);
    assert_non_null(strstr(why, "the last"));
    tap_settings_now(&after);
    assert_memory_equal(&before, &after, sizeof after);
    write_table(file);
    s.hooks_count = 0;
    s.on = 1;
    assert_int_equal(tap_set(&change, why, sizeof why), ERR_USAGE);
    tap_status(&status);
    assert_string_equal(status.steers_at, "");
    s = before;
    s.share = 0.5;
    assert_int_equal(tap_set(&change, why, sizeof why), ERR_OK);
    unlink(file);
    tap_settings_now(&after);
    tap_status(&status);
    assert_true(after.share == 0.5);
    assert_string_equal(status.steers_at, "resid_post.2");
    steer_no_more();
    closed(c);
    struct ring_view view;
    while (view_open(folder, &view) == 0) {
        unlink(view.path);
        view_close(&view);
    }
}

/* A token that two slots share is of the text of both. */
static void a_word_in_a_shared_token_keeps_both_out(void **state)
{
    struct tap_settings s = settings_of("resid_post.1");
    struct llama_batch b = llama_batch_init(1, 0, 2);
    llama_token token = 0;
    int32_t n = 0;
    (void)state;
    while (n < 1 || n >= MARKER_BYTES)
        n = llama_token_to_piece(llama_model_get_vocab(model), ++token, s.exclude,
                                 sizeof s.exclude - 1, 0, true);
    s.exclude[n] = '\0';
    apply(&s);
    struct context *c = opened();
    b.n_tokens = 1;
    b.token[0] = token;
    b.pos[0] = 0;
    b.n_seq_id[0] = 2;
    b.seq_id[0][0] = 0;
    b.seq_id[0][1] = 1;
    context_begin(c, &b);
    assert_int_equal(llama_decode(c->llama, b), 0);
    context_end(c, 0);
    decode(c, 0, 1, 3, 0);
    decode(c, 1, 1, 3, 0);
    struct ring_view view = view_of_folder();
    is_empty(&view);
    assert_int_equal(count_of(&view, RING_EXCLUDED), 4);
    view_close(&view);
    closed(c);
    llama_batch_free(b);
}

static void clear(struct context *c, int32_t slot)
{
    llama_memory_seq_rm(llama_get_memory(c->llama), slot, -1, -1);
    slots_remove(&c->slots, slot, -1, -1);
}

/* libllama refuses such a pass; what it says of the token's text is an exception. */
static void a_token_that_the_model_does_not_have_is_not_looked_at(void **state)
{
    static const llama_token none[] = {1 << 20, INT32_MAX, -1};
    struct tap_settings s = settings_of("resid_post.0");
    (void)state;
    snprintf(s.exclude, sizeof s.exclude, "no such text");
    apply(&s);
    struct context *c = opened();
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        llama_token token = none[i];
        struct llama_batch b = llama_batch_get_one(&token, 1);
        context_begin(c, &b);
        int32_t result = llama_decode(c->llama, b);
        assert_int_equal(result, -1);
        context_end(c, result);
    }
    decode(c, 0, 0, 2, 0);
    struct ring_view view = view_of_folder();
    next_is(&view, 4, 0);
    next_is(&view, 4, 1);
    is_empty(&view);
    view_close(&view);
    closed(c);
}

/* What lies in the cache from before the word was set may have it. */
static void a_text_from_before_the_word_is_kept_out(void **state)
{
    struct tap_settings s = settings_of("resid_post.2");
    (void)state;
    apply(&s);
    struct context *c = opened();
    decode(c, 0, 0, 3, 0);
    snprintf(s.exclude, sizeof s.exclude, "no such text");
    apply(&s);
    decode(c, 0, 3, 5, 0);
    decode(c, 1, 0, 1, 0);
    apply(&s); /* the same word */
    decode(c, 1, 1, 2, 0);
    snprintf(s.exclude, sizeof s.exclude, "another text");
    apply(&s);
    decode(c, 1, 2, 5, 0);
    clear(c, 0);
    decode(c, 0, 0, 1, 0);
    slots_load(&c->slots, 0);
    decode(c, 0, 1, 2, 0);
    s.exclude[0] = '\0';
    apply(&s);
    decode(c, 0, 2, 3, 0);
    struct ring_view view = view_of_folder();
    for (uint32_t position = 0; position < 3; position++) next_is(&view, 1, position);
    for (uint32_t position = 0; position < 2; position++) next_is(&view, 2, position);
    next_is(&view, 3, 0);
    next_is(&view, 4, 2);
    is_empty(&view);
    assert_int_equal(count_of(&view, RING_EXCLUDED), 2 + 3 + 1);
    view_close(&view);
    closed(c);
}

/* As `decode`, in a batch that the tap has not kept, or only in part. */
static void decode_unseen(struct context *c, const struct batch *kept, int32_t slot, int32_t at)
{
    llama_token token = 7;
    llama_pos position = at;
    struct llama_batch b = llama_batch_init(1, 0, 1);
    b.n_tokens = 1;
    b.token[0] = token;
    b.pos[0] = position;
    b.n_seq_id[0] = 1;
    b.seq_id[0][0] = slot;
    b.logits[0] = 1;
    context_begin_large(c, kept);
    assert_int_equal(llama_decode(c->llama, b), 0);
    context_end(c, 0);
    llama_batch_free(b);
}

/* The word may lie in what nobody looked at. */
static void a_text_in_a_batch_that_was_not_kept_is_kept_out(void **state)
{
    struct batch_entry first = {.token = 7, .position = 0, .slot = 1, .sequences = 1};
    struct batch kept_in_part = {.count = 1, .is_incomplete = 1, .entry = &first};
    struct tap_settings s = settings_of("resid_post.3");
    (void)state;
    snprintf(s.exclude, sizeof s.exclude, "no such text");
    apply(&s);
    struct context *c = opened();
    decode(c, 0, 0, 1, 0);
    decode_unseen(c, NULL, 0, 1);
    decode(c, 0, 2, 4, 0);
    decode_unseen(c, &kept_in_part, 1, 0);
    decode(c, 1, 1, 3, 0);
    clear(c, 0);
    decode(c, 0, 0, 1, 0);
    c->has_encoder = 1; /* as if its prompt lay there */
    decode(c, 2, 0, 3, 0);
    struct ring_view view = view_of_folder();
    next_is(&view, 1, 0);
    next_is(&view, 2, 0);
    is_empty(&view);
    assert_int_equal(count_of(&view, RING_EXCLUDED), 2 + 2 + 3);
    view_close(&view);
    closed(c);
}

static void decode_embedding(struct context *c, int32_t slot, int32_t at)
{
    struct llama_batch b = llama_batch_init(1, TINY_WIDTH, 1);
    memset(b.embd, 0, TINY_WIDTH * sizeof *b.embd);
    b.n_tokens = 1;
    b.pos[0] = at;
    b.n_seq_id[0] = 1;
    b.seq_id[0][0] = slot;
    b.logits[0] = 0;
    context_begin(c, &b);
    assert_int_equal(llama_decode(c->llama, b), 0);
    context_end(c, 0);
    llama_batch_free(b);
}

/* An embedding, and a batch that is not known, are computed as they are: that is counted, and what is
 * computed over them is over a prefix of another setting. */
static void what_cannot_be_told_is_not_steered_and_counted(void **state)
{
    struct tap_settings s = settings_of("resid_post.1");
    struct tap_status before, after;
    (void)state;
    s.on = 0;
    apply(&s);
    steer_by_a_table();
    struct context *c = opened();
    tap_status(&before);
    decode_embedding(c, 0, 0);
    decode_embedding(c, 0, 1);
    assert_false(slots_is_noted(&c->slots, 0, SLOT_STEERED));
    decode(c, 0, 2, 5, 0);
    assert_true(slots_is_noted(&c->slots, 0, SLOT_STEERED));
    decode(c, 1, 0, 2, 0);
    decode_unseen(c, NULL, 1, 2);
    decode(c, 1, 3, 4, 0);
    tap_status(&after);
    assert_int_equal(after.unsteered_passes - before.unsteered_passes, 3);
    assert_int_equal(after.steered_rows - before.steered_rows, 3 + 2 + 1);
    assert_int_equal(after.stale_tokens - before.stale_tokens, 3 + 1);
    steer_no_more();
    closed(c);
    struct ring_view view;
    while (view_open(folder, &view) == 0) {
        unlink(view.path);
        view_close(&view);
    }
}

/* Not beside those of the model itself, whatever is to be kept of what is steered. */
static void what_is_computed_under_an_adapter_is_left_out_and_counted(void **state)
{
    struct tap_settings s = settings_of("resid_post.3");
    struct tap_status before, after;
    (void)state;
    apply(&s);
    struct context *c = opened();
    tap_status(&before);
    decode(c, 0, 0, 1, 0);
    c->has_lora = 1; /* as calls.c notes it */
    decode(c, 0, 1, 3, 0);
    c->has_lora = 0;
    decode(c, 0, 3, 4, 0);
    decode(c, 1, 0, 1, 0);
    c->has_vector = 1;
    decode_unseen(c, NULL, 2, 0);
    c->has_vector = 0;
    decode(c, 2, 1, 2, 0);
    slots_load(&c->slots, 3); /* what was saved then, perhaps */
    decode(c, 3, 0, 1, 0);    /* from the beginning */
    tap_status(&after);
    struct ring_view view = view_of_folder();
    next_is(&view, 1, 0);
    next_is(&view, 2, 0);
    next_is(&view, 3, 0);
    is_empty(&view);
    assert_int_equal(after.adapted_rows - before.adapted_rows, 2 + 1 + 1);
    view_close(&view);
    closed(c);
}

/* ---- threads ---- */

enum { PASSES = 100 };

static void *decode_much(void *arg)
{
    struct context *c = arg;
    for (int32_t i = 0; i < PASSES; i++) decode(c, 1, i, i + 1, 0);
    return NULL;
}

static void contexts_run_side_by_side_while_it_is_switched(void **state)
{
    struct tap_status before, after;
    struct context *c[2] = {opened(), opened()};
    pthread_t thread[2];
    (void)state;
    tap_status(&before);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, decode_much, c[i]), 0);
    for (int i = 0; i < 60; i++) {
        struct tap_settings s = settings_of(i % 3 ? "resid_post.1" : "resid_post.1,attn_out.2");
        s.on = i % 2;
        apply(&s);
        tap_status(&after);
        usleep(500);
    }
    for (int i = 0; i < 2; i++) pthread_join(thread[i], NULL);
    tap_status(&after);
    assert_int_equal(after.passes - before.passes, 2 * PASSES);
    assert_int_equal(after.mismatched_passes, 0);
    for (int i = 0; i < 2; i++) closed(c[i]);
    struct ring_view view;
    while (view_open(folder, &view) == 0) view_close(&view);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_that_is_gone_is_told_with_the_first_context),
        cmocka_unit_test(a_pass_that_fails_begins_other_sequences),
        cmocka_unit_test(it_is_switched_while_it_runs),
        cmocka_unit_test(other_hooks_have_another_ring),
        cmocka_unit_test(both_limits_hold),
        cmocka_unit_test(settings_that_make_no_sense_change_nothing),
        cmocka_unit_test(a_refusal_ends_with_other_hooks),
        cmocka_unit_test(a_pass_that_fails_teaches_nothing),
        cmocka_unit_test(rows_are_changed_behind_the_capture),
        cmocka_unit_test(a_pass_that_fails_leaves_nothing_out),
        cmocka_unit_test(a_pass_that_learns_is_steered_too),
        cmocka_unit_test(another_model_is_not_steered),
        cmocka_unit_test(a_models_key_is_of_what_was_loaded),
        cmocka_unit_test(a_table_that_lies_is_refused),
        cmocka_unit_test(all_is_changed_or_nothing),
        cmocka_unit_test(a_word_in_a_shared_token_keeps_both_out),
        cmocka_unit_test(a_token_that_the_model_does_not_have_is_not_looked_at),
        cmocka_unit_test(a_text_from_before_the_word_is_kept_out),
        cmocka_unit_test(a_text_in_a_batch_that_was_not_kept_is_kept_out),
        cmocka_unit_test(what_cannot_be_told_is_not_steered_and_counted),
        cmocka_unit_test(what_is_computed_under_an_adapter_is_left_out_and_counted),
        cmocka_unit_test(contexts_run_side_by_side_while_it_is_switched),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
