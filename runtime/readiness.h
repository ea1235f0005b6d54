/*
 * Whether a process can do its work (/readyz), and whether it could within the last minute
 * (/healthz): what is unwell waits for a person, what is merely not ready may pass. A value, without
 * a clock.
 */
#ifndef SLUICE_RUNTIME_READINESS_H
#define SLUICE_RUNTIME_READINESS_H

#include <stdint.h>

enum { READINESS_UNWELL_SECONDS = 60 };

struct readiness {
    uint64_t since_ns; /* when it became not ready; 0: it is ready */
    int is_unwell;
    char why[512];
};

enum readiness_news {
    READINESS_NO_NEWS,
    READINESS_UNWELL,    /* it has not been ready for a minute */
    READINESS_RECOVERED, /* it was unwell, and is ready */
};

/* ERR_OK: it is ready at present; otherwise err_text() says why it is not. */
enum readiness_news readiness_note(struct readiness *readiness, int result, uint64_t now_ns);
/* ERR_OK: ready; ERR_STATE: the text says why not, and for how long. */
int readiness_ready(const struct readiness *readiness, uint64_t now_ns);
/* ERR_OK: it was ready within the last minute; ERR_STATE as above. */
int readiness_health(const struct readiness *readiness, uint64_t now_ns);
/* Seconds for which it has not been ready; 0: it is. */
double readiness_seconds(const struct readiness *readiness, uint64_t now_ns);

#endif
