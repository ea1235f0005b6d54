/* Memory for parts of an SAE that are tested alone. */
#ifndef SLUICE_TESTS_SAE_LAID_H
#define SLUICE_TESTS_SAE_LAID_H

#include "base/err.h"
#include "sae/arena.h"

/* Memory for what `call` lays over `arena` (a struct arena, all zero); arena_close() frees. */
#define LAID(arena, call)                                                                          \
    do {                                                                                           \
        call;                                                                                      \
        assert_int_equal(arena_open(&(arena)), ERR_OK);                                            \
        call;                                                                                      \
    } while (0)

#endif
