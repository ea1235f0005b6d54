/* Parts that every architecture's save and load share. For the files of this folder. */
#ifndef SLUICE_SAE_SAVED_H
#define SLUICE_SAE_SAVED_H

#include "sae/checkpoint.h"
#include "sae/sae.h"

/* Section "NAME.PART". ERR_LIMIT and those of checkpoint_put(). */
int saved_put(struct checkpoint_writer *writer, const char *name, const char *part,
              const void *data, size_t bytes);

/* The same to read; ERR_NOTFOUND, ERR_FORMAT where it does not have `bytes` bytes (SIZE_MAX:
 * any). */
int saved_find(const struct checkpoint *checkpoint, const char *name, const char *part,
               size_t bytes, const void **data, size_t *found_bytes);

/* Section "NAME.options": JSON. */
int saved_options_put(struct checkpoint_writer *writer, const char *name,
                      const struct sae_options *options);

/* Whether an SAE with options `now` may go on where one with `then` stopped. ERR_MISMATCH. */
int saved_options_match(const struct sae_options *then, const struct sae_options *now);

#endif
