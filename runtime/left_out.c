#include "runtime/left_out.h"

#include "base/err.h"
#include "base/fileio.h"
#include "base/own.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_LIMIT_BYTES = 1 << 20, PATH_ROOM = CONFIG_PATH_BYTES + 32 };

const char *const left_out_labels[LEFT_OUT_SKIPS] = {"encoding", "syntax", "field", "length"};
static const char *const words[LEFT_OUT_SKIPS] = {"not UTF-8", "not JSON or CSV",
                                                  "without the text's field", "too long"};

/* ---- adding up ---- */

uint64_t left_out_skipped(const struct left_out *l)
{
    uint64_t sum = 0;
    for (int i = 0; i < LEFT_OUT_SKIPS; i++) sum += l->skipped[i];
    return sum;
}

uint64_t left_out_filtered(const struct left_out *l)
{
    return l->special_rows + l->first_rows + l->norm_rows;
}

uint64_t left_out_rows(const struct left_out *l)
{
    return l->kept_rows + left_out_filtered(l) + l->rejected_rows;
}

static void take_documents(struct left_out *to, const struct left_out *from)
{
    to->has_corpus |= from->has_corpus;
    if (from->documents <= to->documents) return;
    to->documents = from->documents;
    memcpy(to->skipped, from->skipped, sizeof to->skipped);
    to->replaced = from->replaced;
    memcpy(to->first_skipped, from->first_skipped, sizeof to->first_skipped);
}

static void add(struct left_out *to, const struct left_out *from)
{
    take_documents(to, from);
    to->kept_rows += from->kept_rows;
    to->special_rows += from->special_rows;
    to->first_rows += from->first_rows;
    to->norm_rows += from->norm_rows;
    to->rejected_rows += from->rejected_rows;
    to->shed_rows += from->shed_rows;
    to->expired_rows += from->expired_rows;
    to->part_rows += from->part_rows;
    if (from->short_producers && !to->short_producers) to->first_short = from->first_short;
    to->short_producers += from->short_producers;
    to->gaps += from->gaps;
    to->is_partial |= from->is_partial;
    to->producers++;
}

/* ---- for people ---- */

static void say(char *out, size_t bytes, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void say(char *out, size_t bytes, const char *fmt, ...)
{
    size_t used = strlen(out);
    va_list args;
    va_start(args, fmt);
    if (used < bytes) vsnprintf(out + used, bytes - used, fmt, args);
    va_end(args);
}

/* "1,234,567" */
static void say_number(char *out, size_t bytes, uint64_t number)
{
    char digits[24];
    int n = snprintf(digits, sizeof digits, "%" PRIu64, number);
    for (int i = 0; i < n; i++)
        say(out, bytes, "%s%c", i > 0 && (n - i) % 3 == 0 ? "," : "", digits[i]);
}

void left_out_reasons(const uint64_t skipped[LEFT_OUT_SKIPS], char *out, size_t bytes)
{
    if (bytes) out[0] = '\0';
    for (int i = 0; i < LEFT_OUT_SKIPS; i++) {
        if (!skipped[i]) continue;
        if (out[0]) say(out, bytes, ", ");
        say_number(out, bytes, skipped[i]);
        say(out, bytes, " %s", words[i]);
    }
}

void left_out_documents_text(const struct left_out *l, char *out, size_t bytes)
{
    char reasons[256];
    uint64_t skipped = left_out_skipped(l);
    if (bytes) out[0] = '\0';
    say_number(out, bytes, l->documents);
    say(out, bytes, " read");
    if (skipped) {
        left_out_reasons(l->skipped, reasons, sizeof reasons);
        say(out, bytes, ", ");
        say_number(out, bytes, skipped);
        say(out, bytes, " skipped (%s", reasons);
        if (l->first_skipped[0]) say(out, bytes, "; the first: %s", l->first_skipped);
        say(out, bytes, ")");
    }
    if (l->replaced) {
        say(out, bytes, ", ");
        say_number(out, bytes, l->replaced);
        say(out, bytes, " with a lone surrogate, now U+FFFD");
    }
}

void left_out_rows_text(const struct left_out *l, char *out, size_t bytes)
{
    if (bytes) out[0] = '\0';
    say_number(out, bytes, left_out_rows(l));
    say(out, bytes, " made, ");
    say_number(out, bytes, left_out_filtered(l));
    say(out, bytes, " filtered (");
    say_number(out, bytes, l->special_rows);
    say(out, bytes, " special tokens, ");
    say_number(out, bytes, l->first_rows);
    say(out, bytes, " at position 0, ");
    say_number(out, bytes, l->norm_rows);
    say(out, bytes, " over the norm limit)");
    if (l->rejected_rows) {
        say(out, bytes, ", ");
        say_number(out, bytes, l->rejected_rows);
        say(out, bytes, " rejected as not finite");
    }
    if (l->shed_rows) {
        say(out, bytes, ", ");
        say_number(out, bytes, l->shed_rows);
        say(out, bytes, " shed");
    }
    if (l->gaps) {
        say(out, bytes, "; what was under way when a process died is lost, ");
        say(out, bytes, l->gaps == 1 ? "once" : "%" PRIu64 " times", l->gaps);
        say(out, bytes, " (capture.resumable: false)");
    }
    if (l->is_partial) say(out, bytes, "; at least: a part of the count was lost");
}

void left_out_short_text(const struct config *config, const struct left_out *l, char *out,
                         size_t bytes)
{
    uint32_t producers = config->capture.producers;
    if (bytes) out[0] = '\0';
    if (!l->short_producers) return;
    say_number(out, bytes, l->kept_rows);
    say(out, bytes, " of the ");
    say_number(out, bytes, config->capture.rows);
    say(out, bytes, " rows of capture.rows were made: ");
    if (l->short_producers >= producers)
        say(out, bytes, "there are no more");
    else if (l->short_producers == 1)
        say(out, bytes, "the share of capture-%" PRIu32 " has no more; HINT: fewer producers",
            l->first_short);
    else
        say(out, bytes,
            "the shares of %" PRIu64 " producers, capture-%" PRIu32
            " the first, have no more; HINT: fewer producers",
            l->short_producers, l->first_short);
}

/* ---- the file ---- */

static json_int_t integer(uint64_t number)
{
    return (json_int_t)number;
}

/* A file's name may hold anything: what is no text, or would move a terminal's cursor, is a '?'. */
static void plain(const char *text, char *out)
{
    json_t *whole = json_string(text); /* NULL: not UTF-8 */
    snprintf(out, LEFT_OUT_PLACE_BYTES, "%s", text);
    for (char *c = out; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f || (!whole && (unsigned char)*c > 0x7f)) *c = '?';
    json_decref(whole);
}

static json_t *encode(const struct config *config, const struct left_out *l)
{
    json_t *skipped = json_object();
    for (int i = 0; i < LEFT_OUT_SKIPS; i++)
        json_object_set_new(skipped, left_out_labels[i], json_integer(integer(l->skipped[i])));
    char place[LEFT_OUT_PLACE_BYTES], run[24];
    plain(l->first_skipped, place);
    snprintf(run, sizeof run, "%016" PRIx64, l->run);
    return json_pack("{s:s, s:s, s:b, s:I, s:o, s:I, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
                     "s:b, s:I, s:b}",
                     "stream", config->stream.name, "run", run, "has_corpus", l->has_corpus,
                     "documents", integer(l->documents), "skipped", skipped, "replaced",
                     integer(l->replaced), "first_skipped", json_string(place), "kept_rows",
                     integer(l->kept_rows), "special_rows", integer(l->special_rows), "first_rows",
                     integer(l->first_rows), "norm_rows", integer(l->norm_rows), "rejected_rows",
                     integer(l->rejected_rows), "shed_rows", integer(l->shed_rows), "expired_rows",
                     integer(l->expired_rows), "gaps", integer(l->gaps), "is_partial",
                     l->is_partial, "part_rows", integer(l->part_rows), "is_short",
                     l->short_producers > 0);
}

static uint64_t number(const json_t *object, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(object, key));
    return value > 0 ? (uint64_t)value : 0;
}

static void decode(const json_t *object, struct left_out *l)
{
    const json_t *skipped = json_object_get(object, "skipped");
    const char *place = json_string_value(json_object_get(object, "first_skipped"));
    const char *run = json_string_value(json_object_get(object, "run"));
    *l = (struct left_out){
        .has_corpus = json_is_true(json_object_get(object, "has_corpus")),
        .documents = number(object, "documents"),
        .replaced = number(object, "replaced"),
        .kept_rows = number(object, "kept_rows"),
        .special_rows = number(object, "special_rows"),
        .first_rows = number(object, "first_rows"),
        .norm_rows = number(object, "norm_rows"),
        .rejected_rows = number(object, "rejected_rows"),
        .shed_rows = number(object, "shed_rows"),
        .expired_rows = number(object, "expired_rows"),
        .gaps = number(object, "gaps"),
        .run = run ? strtoull(run, NULL, 16) : 0,
        .part_rows = number(object, "part_rows"),
        .short_producers = json_is_true(json_object_get(object, "is_short")),
        .is_partial = json_is_true(json_object_get(object, "is_partial")),
        .producers = 1,
    };
    for (int i = 0; i < LEFT_OUT_SKIPS; i++) l->skipped[i] = number(skipped, left_out_labels[i]);
    if (place) snprintf(l->first_skipped, sizeof l->first_skipped, "%s", place);
}

static int path_of(const struct config *config, uint32_t producer, char *out)
{
    char dir[CONFIG_PATH_BYTES];
    int result = config_capture_dir(config, dir);
    if (result == ERR_OK) snprintf(out, PATH_ROOM, "%s/capture-%" PRIu32 ".json", dir, producer);
    return result;
}

static int write_failed(const char *path)
{
    int full = errno == ENOSPC || errno == EDQUOT;
    return err_set(full ? ERR_NOSPC : ERR_IO, "cannot write %s: %s%s", path, strerror(errno),
                   full ? "; HINT: free space on that disk" : "");
}

/* Under a name that nobody has first, so that whoever reads sees one version whole. */
static int put(const char *path, const char *text, size_t bytes)
{
    char other[PATH_MAX];
    int fd, rc = file_temporary(path, other, &fd);
    if (rc) return rc;
    ssize_t n = write(fd, text, bytes);
    if (n >= 0 && n < (ssize_t)bytes) errno = ENOSPC;
    rc = n == (ssize_t)bytes ? ERR_OK : write_failed(path);
    if (!rc && rename(other, path) != 0) rc = write_failed(path);
    if (rc) unlink(other);
    close(fd); /* till here it is locked, and nobody's leftover */
    return rc;
}

int left_out_write(const struct config *config, uint32_t producer, const struct left_out *l)
{
    char path[PATH_ROOM], dir[CONFIG_PATH_BYTES];
    json_t *object = encode(config, l);
    char *text = object ? json_dumps(object, JSON_INDENT(1)) : NULL;
    json_decref(object);
    if (!text) return err_set(ERR_NOMEM, "no memory to tell what was left out");
    int result = config_capture_dir(config, dir);
    if (result == ERR_OK) result = own_make(dir, 0);
    if (result == ERR_OK) result = path_of(config, producer, path);
    if (result == ERR_OK) result = put(path, text, strlen(text));
    free(text);
    return result;
}

int left_out_read(const struct config *config, uint32_t producer, struct left_out *l)
{
    char path[PATH_ROOM], *text;
    size_t bytes;
    int result = path_of(config, producer, path);
    if (result == ERR_OK) result = own_read(path, FILE_LIMIT_BYTES, &text, &bytes);
    if (result != ERR_OK) return result;
    json_t *object = json_loadb(text, bytes, 0, NULL);
    free(text);
    const char *stream = json_string_value(json_object_get(object, "stream"));
    if (stream && strcmp(stream, config->stream.name) == 0)
        decode(object, l);
    else
        result = err_set(ERR_FORMAT, "%s does not tell what stream %s left out", path,
                         config->stream.name);
    if (result == ERR_OK) l->first_short = l->short_producers ? producer : 0;
    json_decref(object);
    return result;
}

int left_out_read_all(const struct config *config, struct left_out *sum)
{
    struct left_out one;
    *sum = (struct left_out){0};
    for (uint32_t p = 0; p < config->capture.producers; p++)
        if (left_out_read(config, p, &one) == ERR_OK) add(sum, &one);
    return sum->producers ? ERR_OK
                          : err_set(ERR_NOTFOUND, "no capture has told what it left out yet");
}
