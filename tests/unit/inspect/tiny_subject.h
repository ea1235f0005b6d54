/* A tiny model with a small SAE of random directions, open as `sluice trace` opens them. */
#ifndef SLUICE_TESTS_INSPECT_TINY_SUBJECT_H
#define SLUICE_TESTS_INSPECT_TINY_SUBJECT_H

#include "tests/tiny_models.h"
#include "tests/unit/engine/support.h"

#include "inspect/firing.h"
#include "inspect/lens.h"
#include "sae/cpu/pool.h"

enum { TINY_LAYERS = 3, TINY_FEATURES = 24 };

/* A relu SAE of the hook whose features fire at about half of all rows. */
__attribute__((unused)) static void tiny_subject(const char *hook, struct subject *s)
{
    struct sae_options o;
    struct rng rng;
    *s = (struct subject){.name = "tiny", .path = "tiny", .layout = "hooks", .hooks = 1};
    sae_options_default(SAE_L1, &o);
    assert_int_equal(pool_new(1, &s->pool), ERR_OK);
    o.pool = s->pool;
    o.width = TINY_WIDTH;
    o.features = TINY_FEATURES;
    o.batch_rows = 64;
    assert_int_equal(encoder_new(&o, &s->model.encoder), ERR_OK);
    struct encoder *e = s->model.encoder;
    rng_seed(&rng, 5);
    for (size_t i = 0; i < (size_t)TINY_FEATURES * TINY_WIDTH; i++) {
        e->w.w_enc[i] = (float)rng_normal(&rng) * 0.3F;
        e->w.w_dec[i] = (float)rng_normal(&rng) * 0.2F;
    }
    e->subtracts = 0;
    encoder_derive(e);
    snprintf(s->hook[0], sizeof s->hook[0], "%s", hook);
    s->hook_width[0] = TINY_WIDTH;
    s->prepends_bos = -1;
    subject_finish(s);
}

/* The player of `hook`, and of the last layer behind it where that is another. */
__attribute__((unused)) static struct llama_player *
tiny_player(const char *architecture, const char *hook, struct llama_hooks *hooks)
{
    static char path[256];
    struct tiny tiny = {.architecture = architecture, .layers = TINY_LAYERS};
    struct llama_player *player;
    const char *names[2] = {hook};
    char last[64];
    snprintf(path, sizeof path, "%s", in_folder("tiny.gguf"));
    tiny_write(path, &tiny);
    lens_hook(TINY_LAYERS, last);
    names[1] = last;
    assert_int_equal(llama_hooks_parse(names, strcmp(hook, last) ? 2 : 1, hooks), ERR_OK);
    struct llama_runner_options options = {.path = path, .context_tokens = 256, .threads = 1};
    int result = llama_player_open(&options, hooks, &player);
    if (result != ERR_OK) fail_msg("%s", err_text());
    return player;
}

#endif
