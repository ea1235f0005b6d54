#include "cli/tap_shown.h"

#include "base/json_put.h"
#include "cli/progress.h"
#include "cli/shown.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { READER_SECONDS = 5 }; /* a reader looks more often */

static double number(const struct tap *tap, const char *key)
{
    return strtod(tap_says(tap, key), NULL);
}

/* ---- for people ---- */

static void line(const char *what, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void line(const char *what, const char *format, ...)
{
    char text[2048], shown[4096];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    shown_text(text, strlen(text), shown, sizeof shown);
    printf("  %-14s%s\n", what, shown);
}

/* "12,345 rows". */
static const char *count(const struct tap *tap, const char *key)
{
    static char text[8][32]; /* as many as one line tells */
    static unsigned next;
    char *out = text[next++ % 8];
    progress_number(number(tap, key), out, sizeof text[0]);
    return out;
}

static void show_limits(const struct tap *tap)
{
    double share = number(tap, TAP_SHARE), rows = number(tap, TAP_ROWS_PER_SECOND);
    char limit[128] = "";
    if (rows > 0) snprintf(limit, sizeof limit, ", %g rows per second at most", rows);
    if (number(tap, TAP_BYTES_PER_SECOND) > 0)
        snprintf(limit + strlen(limit), sizeof limit - strlen(limit),
                 ", %s bytes per second at most", count(tap, TAP_BYTES_PER_SECOND));
    if (share >= 1)
        line("share", "all sequences%s", limit);
    else
        line("share", "%g of the sequences%s", share, limit);
}

/* Those that are not 0; the first three always. */
static void show_left_out(const struct tap *tap)
{
    static const struct {
        const char *key, *what;
    } all[] = {
        {"shed_rows", "shed (no room)"},
        {"limited_rows", "limited (above the rate)"},
        {"ambiguous_rows", "ambiguous (two sequences could claim them)"},
        {"reused_rows", "reused from the cache"},
        {"steered_rows", "of steered sequences"},
        {"adapted_rows", "of sequences under an adapter (LoRA, control vector)"},
        {"no_token_rows", "of embeddings"},
        {"excluded_rows", "excluded by the caller"},
        {"abandoned_rows", "given up (their pass failed)"},
        {"learning_rows", "of the passes that found the hooks"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (i < 5 || number(tap, all[i].key) > 0)
            line(i == 0 ? "not captured" : "", "%12s %s", count(tap, all[i].key), all[i].what);
}

static void show_reader(const struct tap *tap)
{
    double seen = number(tap, "reader_seen_ns") * 1e-9;
    const char *stream = tap_says(tap, TAP_STREAM);
    if (tap_says(tap, "reader_refuses")[0])
        line("WARNING", "the reader refuses its rows: %s", tap_says(tap, "reader_refuses"));
    else if (seen == 0)
        line("reader", "none yet; HINT: `sluice up` of stream %s", stream);
    else if ((double)time(NULL) - seen > READER_SECONDS)
        line("reader", "gone; it took %s rows; HINT: `sluice up` of stream %s",
             count(tap, "read_rows"), stream);
    else
        line("reader", "took %s rows", count(tap, "read_rows"));
}

static void show_stream(const struct tap *tap)
{
    const char *model = tap_says(tap, "model_file");
    line("model", "%s, contexts %s, others left alone %s", model[0] ? model : "none has run yet",
         count(tap, "contexts"), count(tap, "other_contexts"));
    if (!tap_says(tap, TAP_STREAM)[0]) {
        line("stream", "none was told; HINT: sluice tap set FILE");
        return;
    }
    line("stream", "%s", tap_says(tap, TAP_STREAM));
    line("hooks", "%s", tap_says(tap, TAP_HOOKS));
    show_limits(tap);
    line("captured", "%12s rows of %s sequences, %s not taken", count(tap, "captured_rows"),
         count(tap, "sequences"), count(tap, "sequences_not_taken"));
    show_left_out(tap);
    if (strcmp(tap_says(tap, "is_tapping"), "yes") == 0) show_reader(tap);
}

static void show_steering(const struct tap *tap)
{
    if (tap_says(tap, "steers")[0])
        line("steers", "%s, features of %s at %s%s", tap_says(tap, "steers"),
             tap_says(tap, "steers_by"), tap_says(tap, "steers_at"),
             strcmp(tap_says(tap, "keeps_steered"), "yes") == 0 ? "; its sequences are captured"
                                                                : "");
    if (number(tap, "steered_tokens") > 0)
        line("", "%12s tokens steered", count(tap, "steered_tokens"));
    if (number(tap, "unsteered_passes") > 0)
        line("", "%12s passes not steered (of embeddings, or of a batch that is not known)",
             count(tap, "unsteered_passes"));
    if (number(tap, "stale_tokens") > 0)
        line("", "%12s tokens over a prefix that was cached under another setting",
             count(tap, "stale_tokens"));
    if (tap_says(tap, "steering_refusal")[0])
        line("WARNING", "nothing is steered: %s", tap_says(tap, "steering_refusal"));
}

static void show(const struct tap *tap)
{
    if (tap->trouble[0]) {
        printf("process %s\n", tap->name);
        line("ERROR", "%s", tap->trouble);
        return;
    }
    int is_on = strcmp(tap_says(tap, TAP_ON), "yes") == 0;
    printf("%s, process %s: %s%s\n", tap_says(tap, "program"), tap->name, is_on ? "on" : "off",
           tap_says(tap, "steers")[0] ? ", steered" : "");
    if (tap_says(tap, "refusal")[0]) line("WARNING", "not tapped: %s", tap_says(tap, "refusal"));
    show_stream(tap);
    show_steering(tap);
    if (number(tap, "mismatched_passes") > 0)
        line("WARNING", "%s passes whose rows could not be told were left out",
             count(tap, "mismatched_passes"));
    if (number(tap, "refused_requests") > 0)
        line("WARNING", "%s requests of other users were refused", count(tap, "refused_requests"));
}

void tap_shown_people(const struct taps *taps)
{
    if (taps->trouble[0]) fprintf(stderr, "sluice: %s\n", taps->trouble);
    if (taps->count == 0) printf("No program is tapped. HINT: sluice tap FILE -- PROGRAM\n");
    for (size_t i = 0; i < taps->count; i++) {
        if (i > 0) printf("\n");
        show(&taps->tap[i]);
    }
}

/* ---- for scripts ---- */

enum kind { TEXT, COUNT, REAL, YES_NO, LIST };

static const struct {
    const char *key;
    enum kind kind;
} fields[] = {
    {"program", TEXT},
    {"model_file", TEXT},
    {TAP_STREAM, TEXT},
    {TAP_HOOKS, LIST},
    {TAP_ON, YES_NO},
    {"is_tapping", YES_NO},
    {TAP_SHARE, REAL},
    {TAP_ROWS_PER_SECOND, REAL},
    {TAP_BYTES_PER_SECOND, COUNT},
    {TAP_EXCLUDE, TEXT},
    {TAP_FOLDER, TEXT},
    {TAP_RING_BYTES, COUNT},
    {TAP_DTYPE, TEXT},
    {"contexts", COUNT},
    {"other_contexts", COUNT},
    {"passes", COUNT},
    {"failed_passes", COUNT},
    {"mismatched_passes", COUNT},
    {"offered_rows", COUNT},
    {"captured_rows", COUNT},
    {"shed_rows", COUNT},
    {"limited_rows", COUNT},
    {"abandoned_rows", COUNT},
    {"ambiguous_rows", COUNT},
    {"reused_rows", COUNT},
    {"no_token_rows", COUNT},
    {"steered_rows", COUNT},
    {"steers", TEXT},
    {"steers_by", TEXT},
    {"steers_at", TEXT},
    {"keeps_steered", YES_NO},
    {"steered_tokens", COUNT},
    {"unsteered_passes", COUNT},
    {"stale_tokens", COUNT},
    {"steering_refusal", TEXT},
    {"excluded_rows", COUNT},
    {"learning_rows", COUNT},
    {"adapted_rows", COUNT},
    {"sequences", COUNT},
    {"sequences_not_taken", COUNT},
    {"read_rows", COUNT},
    {"reader_seen_ns", COUNT},
    {"reader_refuses", TEXT},
    {"refusal", TEXT},
    {"refused_requests", COUNT},
};

static json_t *list_of(const char *text)
{
    json_t *list = json_array();
    while (*text) {
        size_t length = strcspn(text, ",");
        json_array_append_new(list, json_stringn(text, length));
        text += length + (text[length] == ',');
    }
    return list;
}

static void put(json_t *object, const char *key, enum kind kind, const char *value)
{
    if (kind == TEXT) json_put_text(object, key, value);
    if (kind == COUNT) json_put_count(object, key, strtoull(value, NULL, 10));
    if (kind == REAL) json_put_number(object, key, strtod(value, NULL));
    if (kind == YES_NO) json_put(object, key, json_boolean(strcmp(value, "yes") == 0));
    if (kind == LIST) json_put(object, key, list_of(value));
}

static json_t *object_of(const struct tap *tap)
{
    json_t *object = json_object();
    json_put_count(object, "pid", (uint64_t)tap->pid);
    json_put_text(object, "process", tap->name);
    json_put_text(object, "error", tap->trouble);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (tap->answer && lines_get(&tap->lines, fields[i].key))
            put(object, fields[i].key, fields[i].kind, tap_says(tap, fields[i].key));
    return object;
}

void tap_shown_json(const struct taps *taps)
{
    json_t *all = json_array();
    for (size_t i = 0; i < taps->count; i++) json_array_append_new(all, object_of(&taps->tap[i]));
    shown_json(all, 9);
}
