#include "sae/model.h"

#include "base/err.h"
#include "sae/state.h"

enum { ROWS_AT_ONCE = 256 };

int model_open(const struct checkpoint *checkpoint, const char *name, struct pool *pool,
               struct model *model)
{
    struct sae_options options;
    struct state_weights found;
    struct model m = {0};
    int result = sae_saved_options(checkpoint, name, &options);
    if (result != ERR_OK) return result;
    options.pool = pool;
    options.batch_rows = ROWS_AT_ONCE;
    result = encoder_new(&options, &m.encoder);
    if (result == ERR_OK) result = state_find(checkpoint, name, m.encoder, &found);
    if (result != ERR_OK) {
        model_close(&m);
        return result;
    }
    state_take(m.encoder, &found);
    m.steps = found.steps;
    m.skipped = found.skipped;
    *model = m;
    return ERR_OK;
}

void model_close(struct model *model)
{
    encoder_free(model->encoder);
    *model = (struct model){0};
}

struct sae_view model_view(const struct model *model)
{
    return (struct sae_view){model->encoder->options, encoder_parameters(model->encoder)};
}
