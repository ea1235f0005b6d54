#include "wiring/sections.h"

#include <inttypes.h>
#include <stdio.h>

void section_sae(uint32_t index, char out[SECTION_SAE_BYTES])
{
    snprintf(out, SECTION_SAE_BYTES, "sae.%" PRIu32, index);
}
