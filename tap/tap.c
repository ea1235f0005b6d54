#include "tap/tap.h"

#include "base/err.h"
#include "proto/ring.h"
#include "proto/tap_folder.h"
#include "tap/context.h"
#include "tap/models.h"
#include "tap/outlet.h"
#include "tap/tell.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
    pthread_mutex_t lock; /* of all below; held for long where a ring is made, and no longer */
    struct tap_start start;
    struct llama_hooks hooks;
    const struct llama_model *model; /* that is tapped; NULL: none yet */
    char model_file[1024];
    uint64_t model_key;
    struct outlet *outlet; /* of that model and these hooks; NULL: to be made */
    int is_refused;
    char refusal[400];
    uint64_t passes, failed_passes, mismatched_passes, learning_rows, adapted_rows;
    struct steering *steering; /* NULL: none */
    char steering_refusal[400];
    struct marker marker;
    uint32_t markers; /* so many there were */
    uint64_t steered_rows, unsteered_passes, stale_tokens;
} tap = {.lock = PTHREAD_MUTEX_INITIALIZER};

static _Atomic int is_begun;

/* ---- whether there is a tap ---- */

static void in_forked_child(void)
{
    atomic_store(&is_begun, 0);
}

static int parse_hooks(const struct tap_settings *s, struct llama_hooks *hooks)
{
    const char *names[ROW_MAX_HOOKS];
    if (s->hooks_count > ROW_MAX_HOOKS)
        return err_set(ERR_USAGE, "%u hooks: a stream has 1 to %d", s->hooks_count, ROW_MAX_HOOKS);
    for (uint32_t i = 0; i < s->hooks_count; i++) names[i] = s->hooks[i];
    memset(hooks, 0, sizeof *hooks);
    int result = s->hooks_count || s->on ? llama_hooks_parse(names, s->hooks_count, hooks) : ERR_OK;
    if (result == ERR_OK && !(s->share >= 0 && s->share <= 1))
        result = err_set(ERR_USAGE, "a share of %g: it is above 0 and at most 1", s->share);
    if (result == ERR_OK && !(s->rows_per_second >= 0 && s->rows_per_second <= RING_HIGHEST_RATE))
        result = err_set(ERR_USAGE, "%g rows per second: from 0.001 to 1e9; 0: no limit",
                         s->rows_per_second);
    return result;
}

/* What was read for another word was not read for this one. */
static void look_for(const char *text)
{
    if (strcmp(text, tap.marker.text) == 0) return;
    marker_make(text, &tap.marker);
    if (text[0]) tap.marker.number = ++tap.markers;
}

int tap_begin(const struct tap_start *start)
{
    int result = parse_hooks(&start->settings, &tap.hooks);
    if (result != ERR_OK) return result;
    tap.start = *start;
    look_for(start->settings.exclude);
    if (pthread_atfork(NULL, NULL, in_forked_child) != 0)
        return err_set(ERR_NOMEM, "no memory for the tap");
    atomic_store(&is_begun, 1);
    return ERR_OK;
}

int tap_is_there(void)
{
    static _Atomic int is_told;
    int once = 0;
    if (!atomic_load_explicit(&is_begun, memory_order_relaxed)) return 0;
    if (library_get()->is_known) return 1;
    if (atomic_exchange(&is_told, 1)) return 0;
    char text[500];
    snprintf(text, sizeof text, "%s; the program goes on without the tap", library_get()->why_not);
    tell_once(&once, text);
    return 0;
}

int tap_wants_model(const char *file)
{
    return !tap.start.model[0] || strstr(file, tap.start.model) != NULL;
}

/* ---- outlets ---- */

static void refuse(void)
{
    static int once;
    char text[600];
    tap.is_refused = 1;
    snprintf(tap.refusal, sizeof tap.refusal, "%s", err_text());
    snprintf(text, sizeof text, "%s; the program goes on without the tap", tap.refusal);
    tell_once(&once, text);
}

/* The outlet is no longer the one of new passes; the last that uses it frees it. */
static void retire(void)
{
    struct outlet *o = tap.outlet;
    tap.outlet = NULL;
    if (!o) return;
    o->is_retired = 1;
    if (!o->users) outlet_free(o);
}

static void choose(const struct llama_model *model)
{
    if (tap.model) return;
    tap.model = model;
    tap.model_key = models_file(model, tap.model_file, sizeof tap.model_file);
}

static void options_of(const struct tap_settings *s, struct outlet_options *o)
{
    *o = (struct outlet_options){.ring_bytes = s->ring_bytes,
                                 .is_f32 = s->is_f32,
                                 .starts_off = !s->on,
                                 .share = s->share,
                                 .rows_per_second = s->rows_per_second,
                                 .bytes_per_second = s->bytes_per_second};
    memcpy(o->stream, s->stream, sizeof o->stream);
    memcpy(o->folder, s->folder, sizeof o->folder);
}

/* The outlet that there should be, open as soon as its hooks are known. */
static int has_outlet(void)
{
    struct outlet_options options;
    const struct tap_settings *s = &tap.start.settings;
    if (tap.is_refused || !s->stream[0] || !s->hooks_count) return 0;
    options_of(s, &options);
    int result = ERR_OK;
    if (!tap.outlet) result = outlet_make(library_get(), tap.model, &tap.hooks, &tap.outlet);
    /* While a pass learns, the hooks are its own to write. */
    if (result == ERR_OK && !tap.outlet->sluice && !tap.outlet->is_learning &&
        !outlet_is_to_learn(tap.outlet))
        result = outlet_open(tap.outlet, library_get(), &options, tap.model_file, tap.model_key);
    if (result != ERR_OK) {
        refuse();
        retire();
    }
    return result == ERR_OK;
}

/* ---- steering ---- */

static void retire_steering(void)
{
    struct steering *s = tap.steering;
    tap.steering = NULL;
    if (!s) return;
    s->is_retired = 1;
    if (!s->users) steering_free(s);
}

static void refuse_steering(void)
{
    static int once;
    char text[600];
    snprintf(tap.steering_refusal, sizeof tap.steering_refusal, "%s", err_text());
    snprintf(text, sizeof text, "%s; nothing is steered", tap.steering_refusal);
    tell_once(&once, text);
    retire_steering();
}

/* What was told for one model is not for the next that the program loads. */
static int check_steering(struct steering *s)
{
    if (s->is_checked && (!tap.model_key || s->model_key != tap.model_key))
        return err_set(ERR_USAGE, "%s steered a model that is no more, and this is another",
                       s->table.facts->sae);
    int result = steering_check(s, library_get(), tap.model);
    s->is_checked = 1;
    s->model_key = tap.model_key;
    return result;
}

/* Whether it goes with the model is known once there is one. */
static struct steering *take_steering(void)
{
    struct steering *s = tap.steering;
    if (s && s->model != tap.model && check_steering(s) != ERR_OK) {
        refuse_steering();
        return NULL;
    }
    if (s) {
        s->model = tap.model;
        s->users++;
    }
    return s;
}

static void return_steering(struct steering *s, const struct tap_pass *pass)
{
    tap.steered_rows += pass->steered_rows;
    if (!s) return;
    s->users--;
    if (s->is_retired && !s->users)
        steering_free(s);
    else if (s == tap.steering && pass->is_good && pass->unsteered[0]) {
        err_set(ERR_USAGE, "%s", pass->unsteered);
        refuse_steering();
    }
}

/* Under the lock, as what follows. Whether it goes with the model that there is. */
static int may_steer(const struct steering *s)
{
    return s && tap.model ? steering_check(s, library_get(), tap.model) : ERR_OK;
}

/* NULL: nothing is steered. */
static void steer_by(struct steering *s)
{
    retire_steering();
    tap.steering_refusal[0] = '\0';
    tap.steering = s;
}

/* What `sluice tap` wrote for this program alone. */
static void remove_table(const char *path)
{
    char folder[256];
    for (unsigned n = 0; n < TAP_FOLDERS; n++) {
        if (tap_folder_path(n, folder, sizeof folder) != ERR_OK) continue;
        size_t length = strlen(folder);
        if (strncmp(path, folder, length) == 0 && strncmp(path + length, "/" TAP_TABLE, 7) == 0 &&
            !strchr(path + length + 1, '/'))
            unlink(path);
    }
}

static void steer_from_start(void)
{
    const char *table = tap.start.steer;
    struct tap_change change = {.steer = table, .keeps_steered = tap.start.keeps_steered};
    char why[512];
    if (!table[0]) return;
    int result = tap_set(&change, why, sizeof why);
    remove_table(table);
    if (result == ERR_OK) return;
    pthread_mutex_lock(&tap.lock);
    err_set(result, "%s%s", why,
            result == ERR_NOTFOUND ? "; HINT: an earlier program of the same start had a context, "
                                     "and took the table; use sluice tap set --steer"
                                   : "");
    refuse_steering();
    pthread_mutex_unlock(&tap.lock);
}

void tap_begin_steering(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, steer_from_start);
}

/* ---- turns ---- */

void tap_take_turn(const struct llama_model *model, struct tap_turn *turn)
{
    *turn = (struct tap_turn){0};
    pthread_mutex_lock(&tap.lock);
    choose(model);
    turn->is_chosen = tap.model == model;
    if (turn->is_chosen && has_outlet()) {
        turn->learns = !tap.outlet->sluice && !tap.outlet->is_learning;
        if (tap.outlet->sluice || turn->learns) turn->outlet = tap.outlet;
        if (turn->learns) tap.outlet->is_learning = 1;
        if (turn->outlet) turn->outlet->users++;
    }
    if (turn->is_chosen) turn->steering = take_steering();
    if (turn->is_chosen) turn->marker = tap.marker;
    pthread_mutex_unlock(&tap.lock);
}

static void count(const struct tap_turn *turn, const struct tap_pass *pass)
{
    static int once;
    tap.passes += pass->is_good != 0;
    tap.failed_passes += !pass->is_good;
    tap.unsteered_passes += pass->is_unsteered && pass->is_good;
    tap.stale_tokens += pass->stale_tokens;
    if (pass->is_good) tap.adapted_rows += pass->adapted_rows;
    if (turn->learns) tap.learning_rows += pass->tokens;
    if (pass->result == ERR_MISMATCH) {
        char text[500];
        tap.mismatched_passes++;
        snprintf(text, sizeof text, "%s; rows of such a pass are left out", err_text());
        tell_once(&once, text);
    }
}

void tap_return_turn(const struct tap_turn *turn, const struct tap_pass *pass)
{
    struct outlet *o = turn->outlet;
    if (!turn->is_chosen) return;
    pthread_mutex_lock(&tap.lock);
    count(turn, pass);
    if (o) {
        o->users--;
        if (turn->learns) o->is_learning = 0;
        if (o == tap.outlet && (pass->result == ERR_USAGE || pass->result == ERR_NOMEM)) {
            refuse();
            retire();
        } else if (o->is_retired && !o->users) {
            outlet_free(o);
        }
    }
    return_steering(turn->steering, pass);
    pthread_mutex_unlock(&tap.lock);
}

void tap_forget_model(const struct llama_model *model)
{
    pthread_mutex_lock(&tap.lock);
    if (model && tap.model == model) {
        retire();
        tap.model = NULL;
        if (tap.steering) tap.steering->model = NULL;
        tap.model_file[0] = '\0';
        tap.is_refused = 0;
        tap.refusal[0] = '\0';
    }
    pthread_mutex_unlock(&tap.lock);
}

/* Of a program that ends, other threads may still be amid a pass, and the one that ends it may have been
 * stopped by a signal anywhere. */
void tap_end(void)
{
    if (!atomic_exchange(&is_begun, 0) || pthread_mutex_trylock(&tap.lock) != 0) return;
    retire();
    tap.is_refused = 1; /* no other ring for passes that begin now */
    pthread_mutex_unlock(&tap.lock);
}

/* ---- settings ---- */

static int same_hooks(const struct tap_settings *a, const struct tap_settings *b)
{
    if (a->hooks_count != b->hooks_count) return 0;
    for (uint32_t h = 0; h < a->hooks_count; h++)
        if (strcmp(a->hooks[h], b->hooks[h]) != 0) return 0;
    return 1;
}

/* Whether both are of one ring. */
static int same_ring(const struct tap_settings *a, const struct tap_settings *b)
{
    return same_hooks(a, b) && strcmp(a->stream, b->stream) == 0 &&
           strcmp(a->folder, b->folder) == 0 && a->ring_bytes == b->ring_bytes &&
           a->is_f32 == b->is_f32;
}

/* In rows per second, of the outlet that is open. */
static double rate_of(const struct tap_settings *s)
{
    struct outlet_options options;
    options_of(s, &options);
    return outlet_rate(tap.outlet, &options);
}

/* Under the lock. */
static int apply(const struct tap_settings *s, const struct llama_hooks *hooks)
{
    int result = ERR_OK, is_other = !same_ring(s, &tap.start.settings);
    if (is_other && tap.model) result = outlet_check(library_get(), tap.model, hooks);
    if (result == ERR_OK && !is_other && tap.outlet && tap.outlet->sluice) {
        struct sluice_settings set = {sizeof set, s->on, s->share, rate_of(s)};
        if (sluice_set(tap.outlet->sluice, &set) != SLUICE_OK)
            result = err_set(ERR_USAGE, "the stream takes no such settings");
    }
    if (result != ERR_OK) return result;
    if (is_other) {
        retire();
        tap.hooks = *hooks;
    }
    tap.is_refused = 0; /* try again */
    tap.refusal[0] = '\0';
    tap.start.settings = *s;
    look_for(s->exclude);
    return ERR_OK;
}

/* Steering last: nothing can go wrong with it any more. */
static int change(const struct tap_change *c, const struct llama_hooks *hooks,
                  struct steering *steering)
{
    pthread_mutex_lock(&tap.lock);
    int result = may_steer(steering);
    if (result == ERR_OK && c->settings) result = apply(c->settings, hooks);
    if (result == ERR_OK && c->steer) steer_by(steering);
    pthread_mutex_unlock(&tap.lock);
    return result;
}

int tap_set(const struct tap_change *c, char *text, size_t bytes)
{
    struct llama_hooks hooks = {0};
    struct steering *steering = NULL;
    int result = atomic_load(&is_begun) ? ERR_OK : err_set(ERR_STATE, "this process has no tap");
    if (result == ERR_OK && c->settings) result = parse_hooks(c->settings, &hooks);
    if (result == ERR_OK && c->steer && c->steer[0]) result = steering_read(c->steer, &steering);
    if (steering) steering->keeps_steered = c->keeps_steered;
    if (result == ERR_OK) result = change(c, &hooks, steering);
    if (result != ERR_OK) steering_free(steering);
    if (bytes) snprintf(text, bytes, "%s", result == ERR_OK ? "" : err_text());
    return result;
}

/* By more than a ring rounds; 0: no limit. */
static int is_lower(double rate, double than)
{
    return rate > 0 && (than == 0 || rate < 0.99 * than);
}

void tap_settings_now(struct tap_settings *s)
{
    pthread_mutex_lock(&tap.lock);
    *s = tap.start.settings;
    if (tap.outlet && tap.outlet->sluice) {
        struct sluice_settings now = {.size = sizeof now};
        sluice_settings(tap.outlet->sluice, &now);
        s->on = now.is_on;
        s->share = now.share;
        if (is_lower(now.rows_per_second, rate_of(s))) s->rows_per_second = now.rows_per_second;
    }
    pthread_mutex_unlock(&tap.lock);
}

void tap_status(struct tap_status *s)
{
    *s = (struct tap_status){.counters.size = sizeof s->counters};
    pthread_mutex_lock(&tap.lock);
    s->is_tapping = tap.outlet && tap.outlet->sluice;
    snprintf(s->model_file, sizeof s->model_file, "%s", tap.model_file);
    const struct library *l = library_peek();
    snprintf(s->refusal, sizeof s->refusal, "%s", l && !l->is_known ? l->why_not : tap.refusal);
    s->passes = tap.passes;
    s->failed_passes = tap.failed_passes;
    s->mismatched_passes = tap.mismatched_passes;
    s->learning_rows = tap.learning_rows;
    s->adapted_rows = tap.adapted_rows;
    s->steered_rows = tap.steered_rows;
    s->unsteered_passes = tap.unsteered_passes;
    s->stale_tokens = tap.stale_tokens;
    snprintf(s->steering_refusal, sizeof s->steering_refusal, "%s", tap.steering_refusal);
    if (tap.steering) {
        const struct steer_facts *f = tap.steering->table.facts;
        snprintf(s->steers, sizeof s->steers, "%s", f->features);
        snprintf(s->steers_by, sizeof s->steers_by, "%s", f->sae);
        snprintf(s->steers_at, sizeof s->steers_at, "%s", f->hook);
        s->keeps_steered = tap.steering->keeps_steered;
    }
    contexts_count(tap.model, &s->contexts, &s->others);
    if (s->is_tapping) sluice_counters(tap.outlet->sluice, &s->counters);
    pthread_mutex_unlock(&tap.lock);
}
