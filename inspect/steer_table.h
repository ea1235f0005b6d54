/* Clamps as a table for a program that is tapped (proto/steer.h): what of the SAE is needed there. */
#ifndef SLUICE_INSPECT_STEER_TABLE_H
#define SLUICE_INSPECT_STEER_TABLE_H

#include "inspect/clamp.h"
#include "proto/steer.h"

/* A table of these clamps, in data[bytes], malloc'ed. `features`: as they were told. is_every: position 0,
 * special tokens and rows beyond the norm limit are steered, too. The SAE must be a dictionary of one hook
 * that the graph has as a node of its own: ERR_USAGE where it is a part of a layer (attn_out, mlp_out,
 * resid_mid). ERR_LIMIT (a name), ERR_NOMEM. */
int steer_table_make(const struct clamps *clamps, const char *features, int is_every, void **data,
                     size_t *bytes);

#endif
