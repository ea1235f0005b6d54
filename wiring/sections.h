/* The names of a checkpoint's sections: what a trainer writes, and whoever reads one looks for. */
#ifndef SLUICE_WIRING_SECTIONS_H
#define SLUICE_WIRING_SECTIONS_H

#include <stddef.h>
#include <stdint.h>

#define SECTION_TRAINER    "trainer"    /* JSON: how far it is, and what it was told */
#define SECTION_DESCRIPTOR "descriptor" /* JSON: the stream's */
#define SECTION_CONSUMER   "consumer"   /* its place in the buffer */

enum { SECTION_SAE_BYTES = 16 };

/* "sae.0": the `index`th autoencoder. */
void section_sae(uint32_t index, char out[SECTION_SAE_BYTES]);

#endif
