#include "inspect/strengths.h"

#include "base/err.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char usual[] = "0,1,2,4,8x";

static int has(const struct strengths *s, double strength)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (s->strength[i] == strength) return 1;
    return 0;
}

/* All of it, or 0. An x behind one that is not the last must be behind the last as well. */
static int parse(const char *at, struct strengths *s)
{
    int earlier_x = 0;
    do {
        char *end;
        if (!strchr("+-.0123456789", *at) || !*at || s->count == STRENGTHS_MOST) return 0;
        double strength = strtod(at, &end);
        if (end == at || !isfinite(strength) || has(s, strength)) return 0;
        s->strength[s->count++] = strength;
        earlier_x |= s->are_times;
        s->are_times = *end == 'x';
        at = end + s->are_times;
        if (*at && *at != ',') return 0;
    } while (*at++ == ',');
    return s->are_times || !earlier_x;
}

int strengths_parse(const char *text, struct strengths *out)
{
    *out = (struct strengths){0};
    if (parse(strcmp(text, "default") == 0 ? usual : text, out)) return ERR_OK;
    return err_set(ERR_USAGE,
                   "--sweep %.80s: HINT: up to %d strengths divided by commas, each once, as "
                   "0,1,2,4,8x (times of the largest activation) or 0,20,40 (values)",
                   text, STRENGTHS_MOST);
}
