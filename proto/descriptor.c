#include "proto/descriptor.h"

#include "base/err.h"
#include "proto/frame.h"
#include "proto/message.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert((int)DESCRIPTOR_MAX_BYTES <= (int)MESSAGE_MAX_TEXT_BYTES &&
                   (int)DESCRIPTOR_MAX_UNMEASURED_BYTES <= (int)MESSAGE_MAX_HELLO_BYTES,
               "a descriptor of any width finds room in its message");

enum { REAL_DIGITS = 9 }; /* enough for a float32 to come back as it was */

static const struct {
    const char *name;
    uint8_t dtype;
} dtype_names[] = {{"f32", DTYPE_F32}, {"bf16", DTYPE_BF16}, {"int8", DTYPE_INT8}};

static const char *dtype_name(uint8_t dtype)
{
    for (size_t i = 0; i < sizeof dtype_names / sizeof *dtype_names; i++)
        if (dtype_names[i].dtype == dtype) return dtype_names[i].name;
    return "unknown";
}

static uint8_t dtype_of(const char *name)
{
    for (size_t i = 0; i < sizeof dtype_names / sizeof *dtype_names; i++)
        if (!strcmp(dtype_names[i].name, name)) return dtype_names[i].dtype;
    return 0;
}

/* ---- writing ---- */

/* JSON integers are signed 64-bit: hashes travel as hexadecimal text. */
static json_t *hash_json(uint64_t hash)
{
    char text[24];
    snprintf(text, sizeof text, "%016" PRIx64, hash);
    return json_string(text);
}

static json_t *hooks_json(const struct descriptor *d)
{
    json_t *list = json_array();
    for (uint32_t i = 0; list && i < d->hooks; i++) {
        const struct descriptor_hook *k = &d->hook[i];
        json_t *one = json_pack("{s:s, s:I}", "name", k->name, "width", (json_int_t)k->width);
        if (one && d->measured) {
            json_object_set_new(one, "norm_median", json_real(k->norm_median));
            json_object_set_new(one, "norm_limit", json_real(k->norm_limit));
            json_object_set_new(one, "scale", json_real(k->scale));
        }
        json_array_append_new(list, one);
    }
    return list;
}

static json_t *mean_json(const struct descriptor *d)
{
    json_t *list = json_array();
    for (uint32_t i = 0; list && i < d->width; i++)
        json_array_append_new(list, json_real((double)d->mean[i]));
    return list;
}

static json_t *descriptor_json(const struct descriptor *d)
{
    json_t *root = json_object();
    if (!root) return NULL;
    json_object_set_new(root, "version", json_integer(DESCRIPTOR_VERSION));
    json_object_set_new(root, "stream", json_string(d->stream));
    json_object_set_new(root, "run", hash_json(d->run));
    json_object_set_new(root, "hooks", hooks_json(d));
    json_object_set_new(root, "width", json_integer(d->width));
    json_object_set_new(root, "dtype", json_string(dtype_name(d->dtype)));
    json_object_set_new(root, "engine", json_string(d->engine));
    json_object_set_new(root, "model", json_string(d->model));
    json_object_set_new(root, "model_hash", hash_json(d->model_hash));
    json_object_set_new(root, "precision", json_string(d->precision));
    json_object_set_new(root, "corpus_hash", hash_json(d->corpus_hash));
    json_object_set_new(root, "context_tokens", json_integer(d->context_tokens));
    json_object_set_new(root, "prepends_bos", json_boolean(d->prepends_bos));
    json_object_set_new(root, "share_count", json_integer(d->share_count));
    json_object_set_new(root, "policy", json_string(d->shed ? "shed" : "block"));
    json_object_set_new(root, "keep_special", json_boolean(d->keep_special));
    json_object_set_new(root, "keep_sinks", json_boolean(d->keep_sinks));
    if (d->drops_tokens) json_object_set_new(root, "drops_tokens", json_true());
    json_object_set_new(root, "max_norm_ratio", json_real(d->max_norm_ratio));
    if (d->settings[0]) json_object_set_new(root, "settings", json_string(d->settings));
    if (d->source_precision[0])
        json_object_set_new(root, "source_precision", json_string(d->source_precision));
    if (d->layers_kept) json_object_set_new(root, "layers_kept", json_integer(d->layers_kept));
    if (d->prepared_fve != 0) json_object_set_new(root, "prepared_fve", json_real(d->prepared_fve));
    json_object_set_new(root, "rows_a_slab", json_integer(d->rows_per_slab));
    if (d->measured) {
        json_object_set_new(root, "measured_rows", json_integer((json_int_t)d->measured_rows));
        json_object_set_new(root, "planned_rows", json_integer((json_int_t)d->planned_rows));
        json_object_set_new(root, "held_out_one_in", json_integer(d->held_out_one_in));
        json_object_set_new(root, "mean", mean_json(d));
    }
    return root;
}

int descriptor_encode(const struct descriptor *d, char **text, size_t *bytes)
{
    if (d->width > ROW_MAX_WIDTH || d->hooks > ROW_MAX_HOOKS)
        return err_set(
            ERR_LIMIT,
            "stream descriptor: %u values per row in %u hooks, a stream has at most %d in "
            "%d; HINT: name fewer in stream.hooks",
            d->width, d->hooks, ROW_MAX_WIDTH, ROW_MAX_HOOKS);
    json_t *root = descriptor_json(d);
    if (!root) return err_set(ERR_NOMEM, "no memory for a stream descriptor");
    errno = 0;
    *text = json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(REAL_DIGITS));
    int is_memory = errno == ENOMEM;
    json_decref(root);
    if (!*text && is_memory) return err_set(ERR_NOMEM, "no memory for a stream descriptor");
    if (!*text)
        return err_set(ERR_FORMAT,
                       "stream descriptor: a name is not UTF-8, or a number is not finite");
    *bytes = strlen(*text);
    return ERR_OK;
}

/* ---- reading ---- */

struct reader {
    json_t *object;
    int rc; /* the first failure */
};

static json_t *take(struct reader *r, const char *key, int is_right_type, json_t *value)
{
    if (r->rc) return NULL;
    if (!is_right_type)
        r->rc = err_set(ERR_FORMAT, "stream descriptor: \"%s\" is %s", key,
                        value ? "of a wrong type" : "missing");
    return r->rc ? NULL : value;
}

static void take_text(struct reader *r, const char *key, char *out, size_t size)
{
    json_t *v = json_object_get(r->object, key);
    if (!take(r, key, json_is_string(v), v)) return;
    if (json_string_length(v) >= size)
        r->rc =
            err_set(ERR_LIMIT, "stream descriptor: \"%s\" is longer than %zu bytes", key, size - 1);
    else
        memcpy(out, json_string_value(v), json_string_length(v) + 1);
}

static uint64_t take_integer(struct reader *r, const char *key, uint64_t least, uint64_t most)
{
    json_t *v = json_object_get(r->object, key);
    if (!take(r, key, json_is_integer(v), v)) return 0;
    json_int_t n = json_integer_value(v);
    if (n >= 0 && (uint64_t)n >= least && (uint64_t)n <= most) return (uint64_t)n;
    r->rc = err_set(ERR_LIMIT,
                    "stream descriptor: \"%s\" is %" JSON_INTEGER_FORMAT ", not within %" PRIu64
                    " to %" PRIu64,
                    key, n, least, most);
    return 0;
}

static double take_real(struct reader *r, const char *key)
{
    json_t *v = json_object_get(r->object, key);
    return take(r, key, json_is_number(v), v) ? json_number_value(v) : 0;
}

static int take_boolean(struct reader *r, const char *key)
{
    json_t *v = json_object_get(r->object, key);
    return take(r, key, json_is_boolean(v), v) ? json_is_true(v) : 0;
}

static uint64_t take_hash(struct reader *r, const char *key)
{
    char text[24] = "";
    take_text(r, key, text, sizeof text);
    if (r->rc) return 0;
    char *end;
    errno = 0;
    uint64_t hash = strtoull(text, &end, 16);
    if (*end || strlen(text) != 16 || errno)
        r->rc = err_set(ERR_FORMAT, "stream descriptor: \"%s\" is not 16 hexadecimal digits", key);
    return hash;
}

static void take_hook(struct reader *r, json_t *object, int measured, struct descriptor_hook *hook)
{
    struct reader h = {object, r->rc};
    take_text(&h, "name", hook->name, sizeof hook->name);
    hook->width = (uint32_t)take_integer(&h, "width", 1, ROW_MAX_WIDTH);
    if (measured) {
        hook->norm_median = take_real(&h, "norm_median");
        hook->norm_limit = take_real(&h, "norm_limit");
        hook->scale = take_real(&h, "scale");
        if (!h.rc && !((float)hook->scale > 0 && isfinite((float)hook->scale)))
            h.rc = err_set(ERR_FORMAT, "stream descriptor: the scale of %s is no float32 above 0",
                           hook->name);
    }
    r->rc = h.rc;
}

static void take_hooks(struct reader *r, struct descriptor *d)
{
    json_t *list = json_object_get(r->object, "hooks");
    if (!take(r, "hooks", json_is_array(list), list)) return;
    size_t n = json_array_size(list);
    if (n < 1 || n > ROW_MAX_HOOKS) {
        r->rc = err_set(ERR_LIMIT, "stream descriptor: %zu hooks", n);
        return;
    }
    uint64_t width = 0;
    for (d->hooks = 0; d->hooks < n && !r->rc; d->hooks++) {
        take_hook(r, json_array_get(list, d->hooks), d->measured, &d->hook[d->hooks]);
        width += d->hook[d->hooks].width;
    }
    if (!r->rc && width != d->width)
        r->rc =
            err_set(ERR_FORMAT,
                    "stream descriptor: its hooks have %" PRIu64 " values per row, its width is %u",
                    width, d->width);
}

static void take_mean(struct reader *r, struct descriptor *d)
{
    json_t *list = json_object_get(r->object, "mean");
    if (!take(r, "mean", json_is_array(list), list)) return;
    if (json_array_size(list) != d->width) {
        r->rc = err_set(ERR_FORMAT, "stream descriptor: \"mean\" has %zu values, the width is %u",
                        json_array_size(list), d->width);
        return;
    }
    d->mean = malloc(d->width * sizeof *d->mean);
    if (!d->mean) {
        r->rc = err_set(ERR_NOMEM, "no memory for a mean of %u values", d->width);
        return;
    }
    for (uint32_t i = 0; i < d->width && !r->rc; i++) {
        json_t *value = json_array_get(list, i);
        d->mean[i] = (float)json_number_value(value);
        if (!json_is_number(value) || !isfinite(d->mean[i]))
            r->rc = err_set(ERR_FORMAT, "stream descriptor: value %u of \"mean\" is no float32", i);
    }
}

/* Descriptors of older builds do not have these. */
static void take_preparation(struct reader *r, struct descriptor *d)
{
    if (json_object_get(r->object, "settings"))
        take_text(r, "settings", d->settings, sizeof d->settings);
    if (json_object_get(r->object, "source_precision"))
        take_text(r, "source_precision", d->source_precision, sizeof d->source_precision);
    if (json_object_get(r->object, "layers_kept"))
        d->layers_kept = (uint32_t)take_integer(r, "layers_kept", 0, 1 << 20);
    if (json_object_get(r->object, "prepared_fve")) d->prepared_fve = take_real(r, "prepared_fve");
}

static void take_all(struct reader *r, struct descriptor *d)
{
    char name[16] = "";
    take_text(r, "stream", d->stream, sizeof d->stream);
    take_text(r, "dtype", name, sizeof name);
    d->dtype = dtype_of(name);
    if (!r->rc && !d->dtype)
        r->rc = err_set(ERR_VERSION, "stream descriptor: dtype \"%s\" is not known here", name);
    d->width = (uint32_t)take_integer(r, "width", 1, ROW_MAX_WIDTH);
    d->measured = json_object_get(r->object, "mean") != NULL;
    take_hooks(r, d);
    take_text(r, "engine", d->engine, sizeof d->engine);
    take_text(r, "model", d->model, sizeof d->model);
    d->model_hash = take_hash(r, "model_hash");
    take_text(r, "precision", d->precision, sizeof d->precision);
    d->corpus_hash = take_hash(r, "corpus_hash");
    d->context_tokens = (uint32_t)take_integer(r, "context_tokens", 0, UINT32_MAX);
    d->prepends_bos = take_boolean(r, "prepends_bos");
    d->share_count = (uint32_t)take_integer(r, "share_count", 1, UINT32_MAX);
    take_text(r, "policy", name, sizeof name);
    d->shed = !strcmp(name, "shed");
    if (!r->rc && !d->shed && strcmp(name, "block") != 0)
        r->rc =
            err_set(ERR_FORMAT, "stream descriptor: policy \"%s\" is neither block nor shed", name);
    d->keep_special = take_boolean(r, "keep_special");
    d->keep_sinks = take_boolean(r, "keep_sinks");
    if (json_object_get(r->object, "drops_tokens"))
        d->drops_tokens = take_boolean(r, "drops_tokens");
    d->max_norm_ratio = take_real(r, "max_norm_ratio");
    take_preparation(r, d);
    d->run = take_hash(r, "run");
    d->rows_per_slab = (uint32_t)take_integer(r, "rows_a_slab", 0, FRAME_MAX_ROWS);
    if (!d->measured) return;
    d->measured_rows = take_integer(r, "measured_rows", 0, INT64_MAX);
    d->planned_rows = take_integer(r, "planned_rows", 0, INT64_MAX);
    d->held_out_one_in = (uint32_t)take_integer(r, "held_out_one_in", 0, UINT32_MAX);
    take_mean(r, d);
}

int descriptor_decode(const char *text, size_t bytes, struct descriptor *d)
{
    memset(d, 0, sizeof *d);
    if (bytes > MESSAGE_MAX_TEXT_BYTES)
        return err_set(ERR_LIMIT, "stream descriptor of %zu bytes is too large", bytes);
    json_error_t why;
    struct reader r = {json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &why), ERR_OK};
    if (!r.object)
        return err_set(ERR_FORMAT, "stream descriptor is no JSON: byte %d of %zu: %.80s",
                       why.position, bytes, why.text);
    if (!json_is_object(r.object)) {
        json_decref(r.object);
        return err_set(ERR_FORMAT, "stream descriptor is not a JSON object");
    }
    uint64_t version = take_integer(&r, "version", 0, UINT32_MAX);
    if (!r.rc && version != DESCRIPTOR_VERSION)
        r.rc = err_set(ERR_VERSION, "stream descriptor of version %" PRIu64 ", this build knows %d",
                       version, DESCRIPTOR_VERSION);
    if (!r.rc) take_all(&r, d);
    json_decref(r.object);
    if (r.rc) descriptor_free(d);
    return r.rc;
}

void descriptor_free(struct descriptor *d)
{
    free(d->mean);
    memset(d, 0, sizeof *d);
}

/* ---- comparing ---- */

static int differs(const char *key, const char *old, const char *new)
{
    return err_set(
        ERR_MISMATCH,
        "%s has changed since this stream began: it was %s, now it is %s; HINT: restore it,"
        " or start over with --fresh (or another stream.name)",
        key, old, new);
}

static int match_text(const char *key, const char *old, const char *new)
{
    return strcmp(old, new) ? differs(key, old, new) : ERR_OK;
}

static int match_number(const char *key, double old, double new)
{
    char a[32], b[32];
    snprintf(a, sizeof a, "%.9g", old);
    snprintf(b, sizeof b, "%.9g", new);
    return strcmp(a, b) ? differs(key, a, b) : ERR_OK;
}

static int match_flag(const char *key, int old, int new)
{
    return !old != !new ? differs(key, old ? "true" : "false", new ? "true" : "false") : ERR_OK;
}

static int match_hash(const char *key, uint64_t old, uint64_t new)
{
    char a[24], b[24];
    snprintf(a, sizeof a, "%016" PRIx64, old);
    snprintf(b, sizeof b, "%016" PRIx64, new);
    return old != new ? differs(key, a, b) : ERR_OK;
}

/* The line of `settings` that begins with line[length], or NULL. */
static const char *find_line(const char *settings, const char *line, size_t length)
{
    for (const char *at = settings; *at; at += strcspn(at, "\n"), at += *at == '\n')
        if (strncmp(at, line, length) == 0) return at;
    return NULL;
}

/* ERR_MISMATCH by the first setting that both tell of and that differs; ERR_OK: none does. */
static int match_settings(const struct descriptor *a, const struct descriptor *b)
{
    char key[80], old[80], new[80];
    for (const char *line = a->settings; *line;
         line += strcspn(line, "\n"), line += *line == '\n') {
        const char *colon = strstr(line, ": ");
        if (!colon) break;
        const char *now = find_line(b->settings, line, (size_t)(colon + 2 - line));
        if (!now) continue;
        now += colon + 2 - line;
        snprintf(key, sizeof key, "capture.%.*s", (int)(colon - line), line);
        snprintf(old, sizeof old, "'%.*s'", (int)strcspn(colon + 2, "\n"), colon + 2);
        snprintf(new, sizeof new, "'%.*s'", (int)strcspn(now, "\n"), now);
        if (strcmp(old, new) != 0) return differs(key, old, new);
    }
    return ERR_OK;
}

/* What the hashes are of where no setting tells: of which keys, by engine. */
static const struct {
    const char *engine, *model, *corpus;
} hashed[] = {
    {"llama", "stream.model (the fingerprint of what it holds)",
     "capture.corpus (the fingerprint of its files, and of how they are read)"},
    {"files", "capture.files (the fingerprint of what they hold, and of how they are read)",
     "capture.files (the fingerprint of what they hold, and of how they are read)"},
    {"synthetic", "capture.synthetic (the fingerprint of its keys)",
     "capture.synthetic.rows or .sequence_rows (their fingerprint)"},
};

static int match_hashes(const struct descriptor *a, const struct descriptor *b)
{
    const char *model = "the model's fingerprint",
               *corpus = "the fingerprint of what rows are made of";
    if (a->model_hash == b->model_hash && a->corpus_hash == b->corpus_hash) return ERR_OK;
    int result = match_settings(a, b);
    for (size_t i = 0; i < sizeof hashed / sizeof *hashed; i++)
        if (strcmp(hashed[i].engine, a->engine) == 0) {
            model = hashed[i].model;
            corpus = hashed[i].corpus;
        }
    if (result == ERR_OK) result = match_hash(model, a->model_hash, b->model_hash);
    /* Before the corpus, whose hash they are in: a descriptor without settings tells them, too. */
    if (result == ERR_OK)
        result = match_number("capture.context_tokens", a->context_tokens, b->context_tokens);
    if (result == ERR_OK)
        result = match_flag("capture.prepend_bos", a->prepends_bos, b->prepends_bos);
    return result == ERR_OK ? match_hash(corpus, a->corpus_hash, b->corpus_hash) : result;
}

static int match_hooks(const struct descriptor *a, const struct descriptor *b)
{
    int result = match_number("stream.hooks (their number)", a->hooks, b->hooks);
    for (uint32_t i = 0; i < a->hooks && result == ERR_OK; i++)
        result = match_text("stream.hooks", a->hook[i].name, b->hook[i].name);
    return result;
}

static int match_widths(const struct descriptor *a, const struct descriptor *b)
{
    int result = ERR_OK;
    for (uint32_t i = 0; i < a->hooks && result == ERR_OK; i++) {
        char key[96];
        snprintf(key, sizeof key, "the width of hook %s", a->hook[i].name);
        result = match_number(key, a->hook[i].width, b->hook[i].width);
    }
    return result == ERR_OK ? match_number("the width of a row", a->width, b->width) : result;
}

/* A width follows from what the hashes are of. So do the hooks where no model has them; and where
 * one has, its own hash may follow from the hooks: how many layers are kept. */
static int match_rows(const struct descriptor *a, const struct descriptor *b)
{
    int result = match_text("capture.engine", a->engine, b->engine);
    if (result == ERR_OK && strcmp(a->engine, "llama") != 0) result = match_hashes(a, b);
    if (result == ERR_OK) result = match_hooks(a, b);
    if (result == ERR_OK) result = match_hashes(a, b);
    return result == ERR_OK ? match_widths(a, b) : result;
}

static int match_source(const struct descriptor *a, const struct descriptor *b)
{
    int result =
        match_text("the model's precision (capture.exact_model, or what runs fastest here)",
                   a->precision, b->precision);
    if (result == ERR_OK)
        result = match_number("capture.context_tokens", a->context_tokens, b->context_tokens);
    if (result == ERR_OK)
        result = match_flag("capture.prepend_bos", a->prepends_bos, b->prepends_bos);
    return result;
}

int descriptor_match(const struct descriptor *committed, const struct descriptor *now)
{
    const struct descriptor *a = committed, *b = now;
    int result = match_text("stream.name", a->stream, b->stream);
    if (result == ERR_OK) result = match_rows(a, b);
    if (result == ERR_OK)
        result = match_text("stream.dtype", dtype_name(a->dtype), dtype_name(b->dtype));
    if (result == ERR_OK) result = match_source(a, b);
    if (result == ERR_OK)
        result = match_number("capture.producers", a->share_count, b->share_count);
    if (result == ERR_OK)
        result =
            match_text("stream.policy", a->shed ? "shed" : "block", b->shed ? "shed" : "block");
    if (result == ERR_OK)
        result = match_flag("capture.keep_special", a->keep_special, b->keep_special);
    if (result == ERR_OK) result = match_flag("capture.keep_sinks", a->keep_sinks, b->keep_sinks);
    if (result == ERR_OK)
        result = match_flag("stream.keep_tokens", !a->drops_tokens, !b->drops_tokens);
    if (result == ERR_OK)
        result = match_number("capture.max_norm_ratio", a->max_norm_ratio, b->max_norm_ratio);
    if (result == ERR_OK && b->run) result = match_hash("the run of this stream", a->run, b->run);
    if (result == ERR_OK && b->rows_per_slab)
        result = match_number("the rows of a slab (sink.size or sink.slab)", a->rows_per_slab,
                              b->rows_per_slab);
    return result;
}

uint32_t descriptor_held_out(uint64_t planned_rows, uint64_t eval_rows)
{
    if (!planned_rows || !eval_rows) return 256;
    uint64_t one_in = planned_rows / eval_rows;
    if (one_in > 256) return 256;
    return one_in < 10 ? 10 : (uint32_t)one_in;
}
