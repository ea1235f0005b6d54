#include "sae/tensors.h"

#include <string.h>

const struct tensor tensors_of_all[] = {TENSORS_OF_ALL, TENSORS_END};

uint32_t tensor_columns(const struct tensor *tensor, const struct sae_options *o)
{
    if (tensor->shape == TENSOR_F_IN || tensor->shape == TENSOR_OUT_IN) return sae_in_width(o);
    return tensor->shape == TENSOR_F_OUT ? sae_out_width(o) : 1;
}

uint32_t tensor_rows(const struct tensor *tensor, const struct sae_options *o)
{
    if (tensor->shape == TENSOR_OUT) return sae_out_width(o);
    if (tensor->shape == TENSOR_OUT_IN) return o->skip ? sae_out_width(o) : 0;
    return o->features;
}

static size_t count_of(const struct tensor *tensor, const struct sae_options *o)
{
    return (size_t)tensor_rows(tensor, o) * tensor_columns(tensor, o);
}

static float **pointer(const struct tensor *tensor, struct parameters *p)
{
    return (float **)(void *)((char *)p + tensor->place);
}

float *tensor_of(const struct tensor *tensor, const struct parameters *p)
{
    return *(float *const *)(const void *)((const char *)p + tensor->place);
}

static size_t padded(size_t floats)
{
    return (floats + 15) / 16 * 16;
}

void tensors_lay(const struct tensor *tensors, const struct sae_options *o, struct parameters *p,
                 struct arena *arena)
{
    memset(p, 0, sizeof *p);
    for (const struct tensor *t = tensors; t->name; t++) p->count += padded(count_of(t, o));
    p->all = arena_take(arena, p->count, sizeof *p->all);
    float *at = p->all;
    for (const struct tensor *t = tensors; at && t->name; t++) {
        if (count_of(t, o) > 0) *pointer(t, p) = at;
        at += padded(count_of(t, o));
    }
}

void tensors_start(const struct tensor *tensors, const struct sae_options *o, struct parameters *p)
{
    for (const struct tensor *t = tensors; t->name; t++)
        for (size_t i = 0; i < count_of(t, o); i++) tensor_of(t, p)[i] = t->start;
}
