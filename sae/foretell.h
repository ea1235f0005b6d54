/* What can be said of an autoencoder's options before it is trained. */
#ifndef SLUICE_SAE_FORETELL_H
#define SLUICE_SAE_FORETELL_H

#include "sae/sae.h"

/* Whether jumprelu's lambda is out of proportion to its rows. They are scaled to E||x||^2 = width,
 * which is all that there is to explain, and a feature that fires costs up to lambda: above a
 * twentieth of the width hardly any is worth it, a hundredth is about right (docs/decisions.md). 1:
 * out[bytes] says so and ends in what to set; 0: all is well, there is a
 * target_l0, or it is another architecture. */
int foretell_lambda(const struct sae_options *options, char *out, size_t bytes);

#endif
