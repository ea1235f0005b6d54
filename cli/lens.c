#include "cli/lens.h"

#include "base/err.h"

static int find_last(const struct llama_runner_options *options, struct llama_hooks *hooks)
{
    const char *first = "resid_post.0";
    const char *names[1];
    char last[64];
    struct llama_facts facts;
    int result = llama_hooks_parse(&first, 1, hooks);
    if (result == ERR_OK) result = llama_runner_try(options, hooks, &facts);
    if (result != ERR_OK) return result;
    lens_hook(facts.layers, last);
    names[0] = last;
    return llama_hooks_parse(names, 1, hooks);
}

int own_lens_open(const struct options *options, const struct subject *subject,
                  struct own_lens *own)
{
    char model[SUBJECT_PATH_BYTES];
    struct llama_runner_options runner = {.path = model, .context_tokens = PLAYER_PASS_TOKENS};
    *own = (struct own_lens){0};
    int result = subject_unembedding(options, subject, model);
    if (result == ERR_OK) result = subject_threads(options, &runner.threads);
    if (result == ERR_OK) result = find_last(&runner, &own->hooks);
    if (result == ERR_OK) result = llama_player_open(&runner, &own->hooks, &own->player);
    if (result == ERR_OK) result = lens_open(own->player, &own->hooks, 0, &own->lens);
    if (result != ERR_OK) own_lens_close(own);
    return result;
}

void own_lens_close(struct own_lens *own)
{
    if (!own->player) return;
    lens_close(&own->lens);
    llama_player_close(own->player);
    *own = (struct own_lens){0};
}
