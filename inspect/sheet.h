/*
 * A feature's sheet: all that an index tells of it, as JSON.
 *
 *   feature, rows, density (of kept rows), largest, mean
 *   histogram   counts of rows, equal parts of 0 to largest
 *   top         contexts, the strongest first
 *   intervals   five, from 0 up: {from, to, rows, samples: contexts}
 *   together    [{feature, pmi, rows}]       neighbours.h
 *   alike       [{feature, cosine}]
 *   promotes    null: not made; else [{token, logit}], the tokens that its direction makes likelier,
 *               the strongest first (promotes.h)
 *   suppresses  the same of those that it makes less likely; null where promotes is
 *
 * A context: {sequence, position, at, tokens, values}. `at` is where in the lists its token stands.
 * Where a row was left out, its value is null; where a row is missing, its token is null, too: what
 * stood there must not be read as if its neighbours touched.
 */
#ifndef SLUICE_INSPECT_SHEET_H
#define SLUICE_INSPECT_SHEET_H

#include "inspect/neighbours.h"
#include "inspect/portrait.h"
#include "inspect/promotes.h"

#include <jansson.h>

struct sheet {
    uint32_t feature;
    uint64_t kept_rows;
    const struct hit *hits; /* (portrait.rows) */
    struct portrait portrait;
    struct neighbour together[NEIGHBOURS], alike[NEIGHBOURS];
    uint32_t togethers, alikes;
    const struct promotes *promotes; /* NULL: not made */
};

/* As text, malloc'ed; NULL: no memory. */
char *sheet_text(const struct record_view *view, const struct sheet *sheet);

/* Whether a sheet that was read is of this feature, and has all that is named above with its types:
 * lists of one context are equally long, features exist. */
int sheet_check(const json_t *sheet, uint32_t feature, uint32_t features);

#endif
