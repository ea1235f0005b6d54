#include "sae/cpu/kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void plain_combine(float *y, size_t n, const float *base, float base_scale, const float *x,
                          size_t stride, const uint32_t *index, const float *a, size_t count)
{
    for (size_t i = 0; i < n; i++) {
        float sum = base ? base_scale * base[i] : 0.0f;
        for (size_t j = 0; j < count; j++) sum += a[j] * x[(index ? index[j] : j) * stride + i];
        y[i] = sum;
    }
}

static void plain_dots(float *out, const float *y, size_t n, const float *x, size_t stride,
                       const uint32_t *index, size_t count)
{
    for (size_t j = 0; j < count; j++) {
        const float *row = x + (index ? index[j] : j) * stride;
        float sum = 0.0f;
        for (size_t i = 0; i < n; i++) sum += row[i] * y[i];
        out[j] = sum;
    }
}

static void plain_subtract(float *y, const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = a[i] - b[i];
}

static size_t plain_above(const float *v, const float *bias, size_t n, float threshold,
                          uint32_t first, uint32_t *index, float *value)
{
    size_t taken = 0;
    for (size_t i = 0; i < n; i++) {
        float x = v[i] + bias[i];
        if (!(x > threshold)) continue;
        index[taken] = first + (uint32_t)i;
        value[taken++] = x;
    }
    return taken;
}

/* Bit by bit from the highest: the largest number that at least k values reach. Floats that are not
 * negative order as their bits do. */
static float plain_kth(const float *value, size_t n, size_t k, unsigned rough)
{
    uint32_t found = 0;
    float result;
    for (uint32_t bit = 1u << 30; bit >> rough; bit >>= 1) {
        uint32_t limit = found | bit, bits;
        size_t reach = 0;
        for (size_t i = 0; i < n; i++) {
            memcpy(&bits, &value[i], sizeof bits);
            reach += bits >= limit;
        }
        if (reach >= k) found = limit;
    }
    memcpy(&result, &found, sizeof result);
    return result;
}

static void plain_adam(const struct adam_rate *rate, float *w, float *m, float *v,
                       const float *gradient, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float g = gradient ? gradient[i] * rate->gradient_scale : 0.0f;
        m[i] = rate->beta1 * m[i] + (1.0f - rate->beta1) * g;
        v[i] = rate->beta2 * v[i] + (1.0f - rate->beta2) * g * g;
        w[i] -= rate->step * m[i] / (sqrtf(v[i]) * rate->root + rate->epsilon);
    }
}

const struct kernels kernels_plain = {
    "plain", plain_combine, plain_dots, plain_subtract, plain_above, plain_kth, plain_adam,
};

const struct kernels *kernels_by_name(const char *name)
{
    if (strcmp(name, "plain") == 0) return &kernels_plain;
#if defined(__x86_64__)
    __builtin_cpu_init();
    int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (avx2 && strcmp(name, "avx2") == 0) return &kernels_avx2;
    if (avx2 && __builtin_cpu_supports("avx512f") && strcmp(name, "avx512") == 0)
        return &kernels_avx512;
#endif
    return NULL;
}

const struct kernels *kernels_best(void)
{
    static const char *const order[] = {"avx512", "avx2", "plain"};
    const char *wish = getenv("SLUICE_KERNELS");
    const struct kernels *kernels = wish ? kernels_by_name(wish) : NULL;
    for (size_t i = 0; !kernels; i++) kernels = kernels_by_name(order[i]);
    return kernels;
}
