/* Facts into a JSON object, as summaries and metadata tell them: what is not known is null. */
#ifndef SLUICE_BASE_JSON_PUT_H
#define SLUICE_BASE_JSON_PUT_H

#include <jansson.h>
#include <stdint.h>

/* A number; null where it is not finite, which JSON does not know. NULL: no memory. */
json_t *json_finite(double x);

/* Put one under a key, replacing what is there. Without memory it is missing. */
void json_put(json_t *object, const char *key, json_t *value); /* takes the value */
void json_put_number(json_t *object, const char *key, double x);
void json_put_count(json_t *object, const char *key, uint64_t n);
void json_put_text(json_t *object, const char *key, const char *text); /* NULL, "": null */

#endif
