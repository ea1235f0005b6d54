#include "trainer/warnings.h"

#include <math.h>
#include <stdio.h>

enum { TEXT_BYTES = 768, SKIPPED_SHARE = 100 };

/* What wakes features, or keeps them awake. */
static void revival_of_largest(const struct sae_options *o, char *out, size_t bytes)
{
    snprintf(out, bytes,
             "lower lr (%g) or decoder_lr_factor (%g), raise aux_coefficient (%g) or k (%u), take "
             "fewer features (%u), or train on more rows (a longer corpus, trainer.reuse)",
             o->learning_rate, o->decoder_lr_factor, o->aux_coefficient, o->k, o->features);
}

static void revival_of_l1(const struct sae_options *o, char *out, size_t bytes)
{
    snprintf(out, bytes,
             "lower lambda (%g), raise lambda_ramp (%g) so that it sets in later, take fewer "
             "features (%u), or train on more rows (a longer corpus, trainer.reuse)",
             o->lambda, o->lambda_ramp, o->features);
}

static void revival_of_jumprelu(const struct sae_options *o, char *out, size_t bytes)
{
    double unit = sae_out_width(o);
    snprintf(out, bytes,
             "lower lambda (%g: each feature that fires costs up to that, and all of a row is %.0f "
             "to explain; try %.2g), lower lr (%g), or train on more rows (a longer corpus, "
             "trainer.reuse)",
             o->lambda, unit, fmin(o->lambda / 4, unit / 100), o->learning_rate);
}

static void revival_of_target(const struct sae_options *o, char *out, size_t bytes)
{
    snprintf(out, bytes,
             "raise target_l0 (%g), take fewer features (%u), or train on more rows (a longer "
             "corpus, trainer.reuse)",
             o->target_l0, o->features);
}

/* By architecture, or activation of what sees several hooks. */
static void revival(const struct sae_options *o, char *out, size_t bytes)
{
    if (o->target_l0 > 0) {
        revival_of_target(o, out, bytes);
    } else if (sae_keeps_largest(o)) {
        revival_of_largest(o, out, bytes);
    } else if (sae_activation(o) == SAE_JUMPRELU) {
        revival_of_jumprelu(o, out, bytes);
    } else {
        revival_of_l1(o, out, bytes);
    }
}

static void add(json_t *list, const char *text)
{
    json_array_append_new(list, json_string(text));
}

static void add_with_revival(json_t *list, const struct sae_options *o, const char *what)
{
    char how[TEXT_BYTES / 2], text[TEXT_BYTES + 16];
    revival(o, how, sizeof how);
    snprintf(text, sizeof text, "%s; HINT: %s", what, how);
    add(list, text);
}

static void of_features(const struct warnings_facts *f, json_t *list)
{
    const struct sae_options *o = f->options;
    unsigned long long window = o->dead_window_rows, rows = f->rows;
    char what[TEXT_BYTES / 2];
    int is_short = rows < window; /* then nothing can be dead by the window */
    uint32_t quiet = is_short ? f->silent : f->dead;
    if (rows == 0 || (f->l0 > 0 && quiet <= o->features / 2)) return;
    if (f->l0 == 0)
        snprintf(what, sizeof what, "no feature fires (L0 0; %u of %u %s)", quiet, o->features,
                 is_short ? "never did" : "are dead");
    else if (quiet <= o->features / 2)
        return; /* L0 is not known */
    else if (is_short)
        snprintf(what, sizeof what,
                 "%u of %u features did not fire in the %llu rows of this run, which is shorter "
                 "than the %llu rows after which one is dead",
                 quiet, o->features, rows, window);
    else
        snprintf(what, sizeof what, "%u of %u features are dead (no firing in %llu rows)", quiet,
                 o->features, window);
    add_with_revival(list, o, what);
}

static void of_fit(const struct warnings_facts *f, json_t *list)
{
    const struct sae_options *o = f->options;
    char text[TEXT_BYTES];
    if (f->is_broken) {
        snprintf(text, sizeof text,
                 "what it reconstructs is not finite, so it is of no use; HINT: start over "
                 "(--fresh) with a lower lr (%g), and leave extreme rows out "
                 "(capture.max_norm_ratio)",
                 o->learning_rate);
        add(list, text);
        return;
    }
    if (!(f->fve <= 0) || f->l0 == 0) return; /* not known, or told already */
    snprintf(text, sizeof text,
             "FVE is %.4f: rows are reconstructed no better than by their mean; HINT: lower lr "
             "(%g)%s, or train on more rows (a longer corpus, trainer.reuse)",
             f->fve, o->learning_rate, sae_keeps_largest(o) ? "" : " or lambda");
    add(list, text);
}

static void of_steps(const struct warnings_facts *f, json_t *list)
{
    char text[TEXT_BYTES];
    unsigned long long skipped = f->skipped, all = f->steps + f->skipped;
    if (skipped == 0 || skipped * SKIPPED_SHARE < all) return;
    snprintf(text, sizeof text,
             "%llu of %llu steps were left out, as loss or gradient was not finite; HINT: lower lr "
             "(%g), or leave extreme rows out (capture.max_norm_ratio)",
             skipped, all, f->options->learning_rate);
    add(list, text);
}

json_t *warnings_of(const struct warnings_facts *facts)
{
    json_t *list = json_array();
    if (!list || facts->options->arch == SAE_COUNT) return list;
    if (!facts->is_broken) of_features(facts, list); /* else L0 says nothing */
    of_fit(facts, list);
    of_steps(facts, list);
    return list;
}
