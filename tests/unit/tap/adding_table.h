/* A table of steering that adds 1 to every value of a row at one node. */
#ifndef SLUICE_TESTS_ADDING_TABLE_H
#define SLUICE_TESTS_ADDING_TABLE_H

#include "proto/steer.h"

#include <stddef.h>
#include <stdio.h>

enum { ADDING_MOST = 64 }; /* values of a row */

struct adding_table {
    struct steer_facts facts;
    float directions[ADDING_MOST];
};

/* For rows of `width` values at the end of a layer. Returns its bytes. */
static size_t adding_table(struct adding_table *table, uint32_t width, int layer)
{
    *table = (struct adding_table){.facts = {.magic = STEER_MAGIC,
                                             .version = STEER_VERSION,
                                             .rule = STEER_ADD,
                                             .width = width,
                                             .clamps = 1,
                                             .steers_special = 1,
                                             .steers_first = 1,
                                             .setting = 7,
                                             .clamp = {{.feature = 3, .value = 1}}}};
    snprintf(table->facts.hook, sizeof table->facts.hook, "resid_post.%d", layer);
    snprintf(table->facts.node, sizeof table->facts.node, "l_out-%d", layer);
    for (uint32_t i = 0; i < width; i++) table->directions[i] = 1;
    return steer_bytes(&table->facts);
}

#endif
