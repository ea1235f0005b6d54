#include "sae/model.h"

#include "base/err.h"
#include "sae/export/fold.h"
#include "sae/state.h"

#include <string.h>

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

static void take(float *to, const float *from, size_t count)
{
    if (to && from) memcpy(to, from, count * sizeof *to);
}

int model_fold(struct model *model, const struct export_options *options)
{
    struct encoder *e = model->encoder;
    struct folded w;
    size_t features = e->features, in = e->width_in;
    int result = fold_weights(model_view(model), options, &w);
    if (result != ERR_OK) return result;
    take(e->w.w_enc, w.w_enc, features * in);
    take(e->w.w_dec, w.w_dec, features * e->width);
    take(e->w.b_enc, w.b_enc, features);
    take(e->w.b_dec, w.b_dec, e->width);
    take(e->w.w_skip, w.w_skip, (size_t)e->width * in);
    take(e->threshold, w.threshold, features);
    take(e->w.r_mag, w.r_mag, features);
    take(e->w.b_mag, w.b_mag, features);
    fold_free(&w);
    encoder_derive(e);
    return ERR_OK;
}

struct sae_view model_view(const struct model *model)
{
    return (struct sae_view){model->encoder->options, encoder_parameters(model->encoder)};
}
