#include "base/json_put.h"

#include <math.h>

json_t *json_finite(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

void json_put(json_t *object, const char *key, json_t *value)
{
    json_object_set_new(object, key, value);
}

void json_put_number(json_t *object, const char *key, double x)
{
    json_put(object, key, json_finite(x));
}

void json_put_count(json_t *object, const char *key, uint64_t n)
{
    json_put(object, key, json_integer((json_int_t)n));
}

void json_put_text(json_t *object, const char *key, const char *text)
{
    json_t *string = text && text[0] ? json_string(text) : NULL;
    json_put(object, key, string ? string : json_null());
}
