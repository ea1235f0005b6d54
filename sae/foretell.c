#include "sae/foretell.h"

#include <stdio.h>

enum { MUCH_SHARE = 20, RIGHT_SHARE = 100 };

int foretell_lambda(const struct sae_options *o, char *out, size_t bytes)
{
    double width = sae_out_width(o);
    if (sae_activation(o) != SAE_JUMPRELU || o->target_l0 > 0 || o->lambda <= width / MUCH_SHARE)
        return 0;
    snprintf(out, bytes,
             "lambda %g is much for rows of %.0f values: each feature that fires costs up to that, "
             "and all of a row is %.0f to explain, so that all may die; HINT: set lambda to about "
             "%.2g",
             o->lambda, width, width, width / RIGHT_SHARE);
    return 1;
}
