/* What must hold between options, as far as it can be known without the model. */
#include "config/table.h"

#include "base/err.h"
#include "config/address.h"
#include "config/made.h"
#include "proto/lines.h"
#include "proto/message.h"
#include "proto/ring.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { PLACE_BYTES = 320 };

/* "FILE:LINE: SECTION.KEY", "--set: SECTION.KEY" or "FILE: SECTION.KEY (default)": out[bytes]. */
static void config_origin_text(const struct config *config, const char *section, const char *key,
                               char *out, size_t bytes)
{
    int index = config_option_find(section, key);
    struct config_origin origin = {0};
    if (index >= 0) origin = config->origins->option[index];
    if (origin.from_set) {
        snprintf(out, bytes, "--set %s.%s", section, key);
    } else if (origin.line > 0) {
        snprintf(out, bytes, "%.200s:%d: %s.%s", config->file, origin.line, section, key);
    } else {
        snprintf(out, bytes, "%.200s: %s.%s (not given)", config->file, section, key);
    }
}

static int fail(const struct config *config, const char *section, const char *key, const char *fmt,
                ...) __attribute__((format(printf, 4, 5)));
static int fail(const struct config *config, const char *section, const char *key, const char *fmt,
                ...)
{
    char place[PLACE_BYTES], why[640];
    config_origin_text(config, section, key, place, sizeof place);
    va_list args;
    va_start(args, fmt);
    vsnprintf(why, sizeof why, fmt, args);
    va_end(args);
    return err_set(ERR_USAGE, "%s: %s", place, why);
}

static int fail_sae(const struct config *config, uint32_t index, const char *key, const char *fmt,
                    ...) __attribute__((format(printf, 4, 5)));
static int fail_sae(const struct config *config, uint32_t index, const char *key, const char *fmt,
                    ...)
{
    char why[640];
    const struct config_origin *origin = &config->origins->sae[index];
    int set = config->origins->given[index][config_option_find(CONFIG_SAES, key)] == CONFIG_SET;
    va_list args;
    va_start(args, fmt);
    vsnprintf(why, sizeof why, fmt, args);
    va_end(args);
    uint32_t item = config->origins->item[index];
    if (origin->from_set || set)
        return err_set(ERR_USAGE, "--set trainer.saes.%u.%s: %s", item, key, why);
    return err_set(ERR_USAGE, "%.200s:%d: trainer.saes.%u.%s: %s", config->file, origin->line, item,
                   key, why);
}

static int fail_again(const struct config *c, const char *section, const char *key)
{
    return fail(c, section, key, "%s", err_text());
}

static const char *text_at(const struct config *c, const struct config_option *option)
{
    return *(char *const *)((const char *)c + option->offset);
}

const char *config_http(const struct config *c, const char *section)
{
    int index = config_option_find(section, "http");
    return index < 0 ? "off" : text_at(c, &config_options[index]);
}

/* tcp has keys, or a user who has said that it needs none. */
static int check_endpoint(const struct config *c, const struct config_option *o)
{
    const char *endpoint = text_at(c, o);
    if (address_endpoint_check(endpoint, 0) != ERR_OK) return fail_again(c, o->section, o->key);
    if (!address_is_tcp(endpoint) || c->broker.keys[0]) return ERR_OK;
    if (!c->broker.insecure_tcp)
        return fail(c, o->section, o->key,
                    "'%.80s' is open to other users of this machine without keys; HINT: set "
                    "broker.keys to a folder and make them with `sluice keygen`, or leave the "
                    "endpoint out for a socket in the run's folder",
                    endpoint);
    if (address_is_beyond_loopback(endpoint))
        return fail(c, o->section, o->key,
                    "'%.80s' is reachable from other machines, and broker.insecure_tcp is for "
                    "loopback alone; HINT: set broker.keys",
                    endpoint);
    return ERR_OK;
}

static int check_addresses(const struct config *c)
{
    for (size_t i = 0; i < config_options_count; i++) {
        const struct config_option *o = &config_options[i];
        int is_http = strcmp(o->key, "http") == 0;
        int is_endpoint = o->type == OPTION_ENDPOINT && text_at(c, o)[0];
        if (is_http && address_http_check(text_at(c, o)) != ERR_OK)
            return fail_again(c, o->section, o->key);
        int result = is_endpoint ? check_endpoint(c, o) : ERR_OK;
        if (result != ERR_OK) return result;
    }
    if (c->broker.front[0] && strcmp(c->broker.front, c->broker.back) == 0)
        return fail(c, "broker", "back", "is the same endpoint as broker.front");
    return ERR_OK;
}

static const char name_rule[] = "1 to 63 letters, digits, dots, dashes and underscores";

static int name_ok(const char *name)
{
    return message_name_ok(name) && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static int check_names(const struct config *c)
{
    if (!c->stream.name[0]) return fail(c, "stream", "name", "is required: %s", name_rule);
    if (!name_ok(c->stream.name))
        return fail(c, "stream", "name", "'%.80s' is not a name: %s", c->stream.name, name_rule);
    const struct config_list *consumers = &c->trainer.consumers;
    for (uint32_t i = 0; i < consumers->count; i++) {
        const char *name = consumers->item[i];
        if (!name_ok(name))
            return fail(c, "trainer", "consumers", "'%.80s' is not a name: %s", name, name_rule);
        if (made_name_taken(name))
            return fail(c, "trainer", "consumers",
                        "'%s' is a file or folder of the run itself; HINT: choose another name",
                        name);
        for (uint32_t j = 0; j < i; j++)
            if (strcmp(name, consumers->item[j]) == 0)
                return fail(c, "trainer", "consumers", "'%s' is there twice", name);
    }
    for (uint32_t i = 0; i < c->stream.hooks.count; i++)
        for (uint32_t j = 0; j < i; j++)
            if (strcmp(c->stream.hooks.item[i], c->stream.hooks.item[j]) == 0)
                return fail(c, "stream", "hooks", "'%.80s' is there twice",
                            c->stream.hooks.item[i]);
    return ERR_OK;
}

/* Whether some autoencoder that the same item stands for uses the key. */
static int used_in_item(const struct config *c, uint32_t index, const char *key)
{
    for (uint32_t i = 0; i < c->trainer.saes_count; i++)
        if (c->origins->item[i] == c->origins->item[index] &&
            config_sae_uses(&c->trainer.saes[i], key))
            return 1;
    return 0;
}

/* A key that the architecture doesn't know: its user expects something of it. One value of an item
 * of several architectures is for those that know it. */
static int check_meaning(const struct config *c, uint32_t index)
{
    const struct config_sae *sae = &c->trainer.saes[index];
    const char *arch = sae_arch_name(sae->options.arch);
    for (size_t i = 0; i < config_options_count; i++) {
        const char *key = config_options[i].key;
        int given = c->origins->given[index][i];
        if (given == CONFIG_ABSENT || config_sae_uses(sae, key)) continue;
        if (given == CONFIG_VALUES)
            return fail_sae(c, index, key,
                            "is a list, but means nothing to %s: the same would be trained again "
                            "for each value; HINT: give %s an item of its own",
                            arch, arch);
        if (!used_in_item(c, index, key))
            return fail_sae(c, index, key,
                            "means nothing to %s; HINT: leave it out, or replace the item as a "
                            "whole: --set 'trainer.saes=[{arch: %s, ...}]'",
                            arch, arch);
    }
    return ERR_OK;
}

/* What an architecture asks of the hooks that it sees; their widths only the engine knows
 * (wiring/view.h). A stream that names none has as many as its engine makes. */
static int check_hooks(const struct config *c, uint32_t index)
{
    const struct config_sae *sae = &c->trainer.saes[index];
    const struct config_list *all = &c->stream.hooks;
    const char *place = sae->hooks[0] ? "hooks" : "arch", *of = sae->hooks[0] ? "" : "stream.";
    struct config_hooks hooks;
    if (all->count == 0 && sae->hooks[0]) return ERR_OK;
    int result = config_sae_hooks(sae, (const char *const *)all->item, all->count, &hooks);
    if (result != ERR_OK) return fail_sae(c, index, "hooks", "%s", err_text());
    const char *are = hooks.count == 1 ? "is" : "are";
    if (sae->options.arch == SAE_TRANSCODER && hooks.count != 2)
        return fail_sae(
            c, index, place,
            "a transcoder needs two %shooks, what goes in and what is to come out, such "
            "as [ffn_norm-15, ffn_out-15]; there %s %u",
            of, are, hooks.count);
    if (sae->options.arch == SAE_CROSSCODER && hooks.count < 2)
        return fail_sae(c, index, place,
                        "a crosscoder needs two %shooks or more, such as [resid_post.10, "
                        "resid_post.15]; there %s %u",
                        of, are, hooks.count);
    if (sae->options.arch == SAE_CLT && (hooks.count < 2 || hooks.count % 2 != 0))
        return fail_sae(c, index, place,
                        "a clt needs pairs of %shooks, what goes into a layer and what is to come "
                        "out of it, such as [ffn_norm-14, ffn_out-14, ffn_norm-15, ffn_out-15]; "
                        "there %s %u",
                        of, are, hooks.count);
    return ERR_OK;
}

static int is_given(const struct config *c, uint32_t index, const char *key)
{
    return c->origins->given[index][config_option_find(CONFIG_SAES, key)] != CONFIG_ABSENT;
}

static int check_sae(const struct config *c, uint32_t index)
{
    const struct config_sae *sae = &c->trainer.saes[index];
    const struct sae_options *o = &sae->options;
    int keeps_largest = sae_keeps_largest(o);
    int result = check_meaning(c, index);
    if (result == ERR_OK) result = check_hooks(c, index);
    if (result != ERR_OK) return result;
    if (o->arch != SAE_COUNT && o->features == 0)
        return fail_sae(c, index, "features", "is required: the number of features");
    if (keeps_largest && o->k == 0)
        return fail_sae(c, index, "k", "is required by %s: active features of a row",
                        sae_arch_name(sae_activation(o)));
    if (o->arch == SAE_MATRYOSHKA && o->features >> (o->levels - 1) == 0)
        return fail_sae(c, index, "levels",
                        "%u levels need at least %u features: each is half of the next", o->levels,
                        1u << (o->levels - 1));
    if (keeps_largest && o->features < o->k)
        return fail_sae(c, index, "k", "%u is more than features (%u)", o->k, o->features);
    if (o->k_aux > o->features)
        return fail_sae(c, index, "k_aux", "%u is more than features (%u)", o->k_aux, o->features);
    if (o->dead_window_rows && sae->dead_window_steps)
        return fail_sae(c, index, "dead_window_steps",
                        "is given beside dead_window_rows; HINT: leave one of them out");
    if (o->lambda < 0 || o->lambda_ramp < 0)
        return fail_sae(c, index, o->lambda < 0 ? "lambda" : "lambda_ramp",
                        "must be 0 or more, or -1 for the architecture's own");
    if (o->target_l0 > o->features)
        return fail_sae(c, index, "target_l0", "%g is more than features (%u)", o->target_l0,
                        o->features);
    if (o->target_l0 > 0 && sae_activation(o) == SAE_JUMPRELU && is_given(c, index, "lambda"))
        return fail_sae(c, index, "lambda",
                        "is given beside target_l0, which takes its place; HINT: leave one of them "
                        "out");
    if (o->warmup + o->decay > 1)
        return fail_sae(c, index, "warmup",
                        "warmup and decay together are more than the whole run");
    if (!name_ok(sae->name))
        return fail_sae(c, index, "name", "'%.80s' is not a name: %s%s", sae->name, name_rule,
                        is_given(c, index, "name") ? "" : "; HINT: it was made; give one");
    for (uint32_t j = 0; j < index; j++)
        if (strcmp(sae->name, c->trainer.saes[j].name) == 0)
            return fail_sae(c, index, "name",
                            "'%s' is there twice; HINT: give each item a name, and each value of a "
                            "list once",
                            sae->name);
    return ERR_OK;
}

static int check_corpus(const struct config *c)
{
    for (uint32_t i = 0; i < c->capture.corpus.count; i++) {
        if (strcmp(c->capture.corpus.item[i], "-") != 0) continue;
        if (c->capture.producers > 1)
            return fail(c, "capture", "producers",
                        "standard input cannot be shared by %u producers; HINT: use 1, or files",
                        c->capture.producers);
        if (c->capture.resumable)
            return fail(c, "capture", "corpus",
                        "\"-\" cannot be read again after a crash; HINT: set capture.resumable: "
                        "false and accept that rows in flight are then lost, or use files");
    }
    return ERR_OK;
}

/* A row of a running program cannot be made again, so nobody may wait for it. */
static int check_live(const struct config *c)
{
    if (strlen(c->capture.exclude_text) > 63)
        return fail(c, "capture", "exclude_text", "is longer than 63 bytes");
    if (!lines_can_tell(c->capture.exclude_text))
        return fail(c, "capture", "exclude_text",
                    "has a control character (an end of line, a tab), which no tap can be told; "
                    "HINT: a text within one line, without `|` and \\n");
    if (c->capture.engine != CONFIG_RING || c->stream.policy == CONFIG_SHED) return ERR_OK;
    return fail(
        c, "stream", "policy",
        "the ring engine needs `policy: shed`: rows of a running program come once, and what "
        "finds no room is dropped and counted");
}

/* Bytes that one row takes in a slab. */
static uint64_t row_bytes(const struct config *c, uint32_t width)
{
    uint64_t one = frame_raw_bytes(1, width, (uint8_t)c->stream.dtype);
    uint64_t two = frame_raw_bytes(2, width, (uint8_t)c->stream.dtype);
    return two > one ? two - one : 0;
}

int config_check_rows(const struct config *c, uint32_t width, uint64_t capacity_rows)
{
    uint64_t bytes = row_bytes(c, width);
    if (bytes == 0)
        return err_set(ERR_USAGE,
                       "rows of %u values are wider than a stream may be (%d); HINT: name fewer in "
                       "stream.hooks",
                       width, ROW_MAX_WIDTH);
    if (capacity_rows == 0) capacity_rows = c->sink.size_bytes / bytes;
    unsigned long long capacity = capacity_rows;
    if (c->trainer.min_rows > capacity_rows)
        return fail(c, "trainer", "min_rows",
                    "%llu rows are more than the buffer holds (%llu rows of %llu bytes in "
                    "sink.size); HINT: lower it, leave it out for half of the buffer, or raise "
                    "sink.size",
                    (unsigned long long)c->trainer.min_rows, capacity, (unsigned long long)bytes);
    if (c->trainer.batch_rows > capacity_rows / 4)
        return fail(c, "trainer", "batch_rows",
                    "a batch of %u rows is more than a quarter of the buffer (%llu rows); HINT: "
                    "at most %llu, or raise sink.size to %llu bytes",
                    c->trainer.batch_rows, capacity, capacity / 4,
                    4ull * c->trainer.batch_rows * bytes);
    return ERR_OK;
}

/* Under block every row is trained on, however old: a limit of age would lose what was promised. */
static int check_retention(const struct config *c)
{
    if (c->sink.retention_seconds == 0 || c->stream.policy == CONFIG_SHED) return ERR_OK;
    return fail(
        c, "sink", "retention",
        "means nothing under the policy block, which loses no row; HINT: leave it out, or set "
        "stream.policy to shed");
}

/* A program refuses less. */
static int check_rate(const struct config *c)
{
    double rate = c->capture.rows_per_second;
    if (rate == 0 || rate >= RING_LOWEST_RATE) return ERR_OK;
    return fail(c, "capture", "rows_per_second",
                "%g is below %g; HINT: 0 for no limit; `sluice tap off` captures nothing", rate,
                RING_LOWEST_RATE);
}

int config_check(const struct config *c)
{
    int result = check_names(c);
    if (result == ERR_OK) result = check_addresses(c);
    if (result == ERR_OK) result = check_corpus(c);
    if (result == ERR_OK) result = check_live(c);
    if (result == ERR_OK) result = check_rate(c);
    for (uint32_t i = 0; i < c->trainer.saes_count && result == ERR_OK; i++)
        result = check_sae(c, i);
    if (result == ERR_OK && c->sink.slab_bytes > c->sink.size_bytes / 64)
        result = fail(c, "sink", "slab",
                      "a slab of %llu bytes leaves fewer than 64 in sink.size; HINT: leave it out",
                      (unsigned long long)c->sink.slab_bytes);
    if (result == ERR_OK && c->capture.engine == CONFIG_SYNTHETIC && c->trainer.consumers.count)
        result = config_check_rows(c, c->capture.synthetic.width, 0);
    return result == ERR_OK ? check_retention(c) : result;
}

int config_fail(const struct config *c, const char *section, const char *key, const char *why)
{
    return fail(c, section, key, "%s", why);
}

int config_check_section(const struct config *c, const char *section)
{
    if (strcmp(section, "trainer") == 0 && c->trainer.saes_count == 0)
        return fail(c, "trainer", "saes",
                    "is required: [{arch: topk, features: 4608, k: 32, lr: 1e-3}]");
    return ERR_OK;
}
