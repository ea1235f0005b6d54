/* How strong: the list of strengths that a sweep tries. */
#ifndef SLUICE_INSPECT_STRENGTHS_H
#define SLUICE_INSPECT_STRENGTHS_H

#include <stdint.h>

enum { STRENGTHS_MOST = 32 };

struct strengths {
    double strength[STRENGTHS_MOST]; /* as told, each once */
    uint32_t count;
    int are_times; /* of the largest activation; 0: values */
};

/* "0,1,2,4,8x": times of the largest activation; without the x, values. "default": that list.
 * ERR_USAGE: it is empty, holds something else or one twice, is too long, or has an x in the
 * middle alone. */
int strengths_parse(const char *text, struct strengths *out);

#endif
