/*
 * When a capture ends its share because `sluice finish` asks for it (runtime/finish.h): once no
 * declared consumer needs more rows than there are, or at once where that was asked for. A consumer
 * that does not answer, or no more, is not waited for: it takes what it finds.
 */
#ifndef SLUICE_CAPTURE_ENDING_H
#define SLUICE_CAPTURE_ENDING_H

#include "runtime/finish.h"

struct ending {         /* zeroed at the start */
    uint64_t asked_ns;  /* when the wish was first seen; 0: it was not */
    uint64_t heard;     /* of those that need rows: finish_need() */
    uint64_t heard_ns;  /* when that became another */
    uint64_t looked_ns; /* when it was last called; a pause since then is nobody's silence */
    int told;           /* the log says that the wish cannot be read */
    int is_due;         /* it stays so */
};

/* Whether the share is to end now. Looks at the disk; call it once a second. */
int ending_is_due(struct ending *ending, const struct config *config, uint64_t now_ns);

#endif
