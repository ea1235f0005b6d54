/* How far the making of an index is: FOLDER/state.json, replaced after all that it counts is durable. */
#ifndef SLUICE_INSPECT_SURVEY_STATE_H
#define SLUICE_INSPECT_SURVEY_STATE_H

#include "base/row.h"

enum survey_phase { SURVEY_GATHERS, SURVEY_SORTS, SURVEY_WRITES };

struct survey_state {
    uint64_t fingerprint, model_hash, corpus_hash, settings_hash; /* of what it is */
    enum survey_phase phase;
    struct cursor cursor;            /* of the next row */
    uint64_t rows, kept_rows, fired; /* gathered */
    uint32_t features;               /* written */
    uint64_t data_bytes;
};

/* ERR_NOMEM, ERR_NOSPC, ERR_IO. */
int survey_state_write(const char *folder, const struct survey_state *state);
/* ERR_NOTFOUND: there is none; ERR_CORRUPT: it is damaged; ERR_IO. */
int survey_state_read(const char *folder, struct survey_state *state);

#endif
