#include "sae/cpu/screen.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const float tiny = 0x1p-50f, huge = 1e30f;

static float k_of(const struct screen *s)
{
    return (float)(s->width + 32) * 0x1p-23f;
}

/* Each 16 values become their sums with the 16 patterns of signs that are orthogonal (Hadamard,
 * Sylvester's order), over 4: a rotation. */
static void rotate(const float *v, uint32_t n, float *out)
{
    for (uint32_t i = 0; i < SCREEN_LANES; i++) out[i] = i < n ? v[i] : 0;
    for (uint32_t h = 1; h < SCREEN_LANES; h *= 2)
        for (uint32_t i = 0; i < SCREEN_LANES; i++) {
            if (i & h) continue;
            float a = out[i], b = out[i + h];
            out[i] = a + b;
            out[i + h] = a - b;
        }
    for (uint32_t i = 0; i < SCREEN_LANES; i++) out[i] *= 0.25f;
}

static void plain_quantize(const float *v, uint32_t width, int8_t *q, struct screen_vector *out)
{
    float rotated[SCREEN_MAX_WIDTH], most = 0, square = 0, rest = 0;
    int32_t sum = 0, q_square = 0, nonzero = 0;
    uint32_t lanes = screen_lanes(width);
    for (uint32_t i = 0; i < width; i += SCREEN_LANES) rotate(v + i, width - i, rotated + i);
    for (uint32_t i = 0; i < width; i++) nonzero |= v[i] != 0;
    for (uint32_t i = 0; i < lanes; i++) {
        most = fmaxf(most, fabsf(rotated[i]));
        square += rotated[i] * rotated[i];
    }
    /* Where that is infinite or NaN, so are the norms; the q are of no use, but must be defined. */
    int usable = most > 0x1p-100f && isfinite(square);
    float step = usable ? most / 127 : 0, inverse = usable ? 127 / most : 0;
    for (uint32_t i = 0; i < lanes; i++) {
        int p = usable ? (int)lrintf(rotated[i] * inverse) : 0;
        p = p > 127 ? 127 : p < -127 ? -127 : p;
        float difference = rotated[i] - step * (float)p;
        rest += difference * difference;
        sum += p;
        q_square += p * p;
        q[i] = (int8_t)p;
    }
    *out = (struct screen_vector){step, sqrtf(square), sqrtf(rest), step * sqrtf((float)q_square),
                                  sum,  nonzero};
}

static const uint8_t *packed(const struct screen *s, uint32_t f, uint32_t group)
{
    return s->p +
           (((size_t)(f / SCREEN_LANES) * s->groups + group) * SCREEN_LANES + f % SCREEN_LANES) * 4;
}

static void plain_take(const struct screen *s, const struct screen_rows *x, uint32_t rows,
                       uint32_t panel, struct collector *c)
{
    for (uint32_t r = 0; r < rows; r++)
        for (uint32_t f = panel * SCREEN_PANEL; f < (panel + 1) * SCREEN_PANEL; f++) {
            const int8_t *q = x->q + (size_t)r * 4 * s->groups;
            int32_t product = -128 * x->sum[r];
            for (uint32_t k = 0; k < 4 * s->groups; k++)
                product += packed(s, f, k / 4)[k % 4] * q[k];
            float value = (float)product * s->step[f] * x->step[r] + s->bias[f];
            float bound = x->e[r] * s->n[f] + x->g[r] * s->m[f];
            if (!(value + bound > c->threshold[r])) continue;
            size_t at = (size_t)r * c->stride + c->count[r]++;
            c->index[at] = f;
            c->value[at] = value > 0 ? value : 0;
            c->bound[at] = bound;
        }
}

const struct screen_kernels screen_plain = {"plain", plain_quantize, plain_take};

static int runs_vnni(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vnni");
#else
    return 0;
#endif
}

int screen_by_name(const char *name, const struct screen_kernels **kernels)
{
    *kernels = NULL;
    if (strcmp(name, "plain") == 0) *kernels = &screen_plain;
#if defined(__x86_64__)
    if (strcmp(name, "vnni") == 0 && runs_vnni()) *kernels = &screen_vnni;
#endif
    return *kernels || strcmp(name, "off") == 0;
}

const struct screen_kernels *screen_best(void)
{
    const struct screen_kernels *kernels;
    const char *wish = getenv("SLUICE_SCREEN");
    if (!wish || !screen_by_name(wish, &kernels)) screen_by_name("vnni", &kernels);
    return kernels;
}

uint32_t screen_lanes(uint32_t width)
{
    return (width + SCREEN_LANES - 1) / SCREEN_LANES * SCREEN_LANES;
}

static uint32_t groups_of(uint32_t width)
{
    return screen_lanes(width) / 4;
}

static uint32_t padded_of(uint32_t features)
{
    return (features + SCREEN_PANEL - 1) / SCREEN_PANEL * SCREEN_PANEL;
}

void screen_lay(struct screen *s, uint32_t width, uint32_t features,
                const struct screen_kernels *kernels, struct arena *arena)
{
    *s = (struct screen){.kernels = width <= SCREEN_MAX_WIDTH ? kernels : NULL,
                         .width = width,
                         .features = features,
                         .groups = groups_of(width),
                         .padded = padded_of(features)};
    s->step = arena_take(arena, s->padded, sizeof *s->step);
    s->n = arena_take(arena, s->padded, sizeof *s->n);
    s->m = arena_take(arena, s->padded, sizeof *s->m);
    s->bias = arena_take(arena, s->padded, sizeof *s->bias);
    s->p = arena_take(arena, s->kernels ? (size_t)s->padded * s->groups * 4 : 0, 1);
}

void screen_rows_lay(struct screen_rows *x, const struct screen *s, struct arena *arena)
{
    x->q = arena_take(arena, s->kernels ? (size_t)BLOCK_ROWS * s->groups * 4 : 0, 1);
    x->step = arena_take(arena, BLOCK_ROWS, sizeof *x->step);
    x->sum = arena_take(arena, BLOCK_ROWS, sizeof *x->sum);
    x->e = arena_take(arena, BLOCK_ROWS, sizeof *x->e);
    x->g = arena_take(arena, BLOCK_ROWS, sizeof *x->g);
}

struct weights_job {
    struct screen *s;
    const struct kernels *kernels;
    const float *w, *bias;
};

/* Without an 8-bit product norms will do. */
static void measure(const struct kernels *kernels, const float *v, uint32_t width,
                    struct screen_vector *out)
{
    float square;
    kernels->dots(&square, v, width, v, 0, NULL, 1);
    *out = (struct screen_vector){.norm = sqrtf(square), .nonzero = square != 0};
    for (uint32_t i = 0; !out->nonzero && i < width; i++) out->nonzero = v[i] != 0;
}

static void fill_feature(const struct weights_job *job, uint32_t f, int8_t *q)
{
    struct screen *s = job->s;
    const float *w = job->w + (size_t)f * s->width;
    struct screen_vector v;
    float k = k_of(s);
    if (s->quantized)
        s->kernels->quantize(w, s->width, q, &v);
    else
        measure(job->kernels, w, s->width, &v);
    s->step[f] = v.step;
    s->n[f] = (1 + k) * v.norm + tiny;
    s->m[f] = (1 + k) * v.rest + k * v.norm + tiny;
    s->bias[f] = job->bias[f];
}

static void pack(struct screen *s, uint32_t f, const int8_t *q)
{
    uint8_t *p =
        s->p + ((size_t)(f / SCREEN_LANES) * s->groups * SCREEN_LANES + f % SCREEN_LANES) * 4;
    for (uint32_t k = 0; k < s->groups; k++, p += SCREEN_LANES * 4) {
        uint32_t four;
        memcpy(&four, q + (size_t)k * 4, 4);
        four ^= 0x80808080u; /* each + 128 */
        memcpy(p, &four, 4);
    }
}

static void weights_task(void *arg, uint32_t panel, uint32_t thread)
{
    (void)thread;
    const struct weights_job *job = arg;
    struct screen *s = job->s;
    int8_t q[SCREEN_MAX_WIDTH];
    for (uint32_t f = panel * SCREEN_PANEL; f < (panel + 1) * SCREEN_PANEL; f++) {
        if (f < s->features) {
            fill_feature(job, f, q);
            if (s->quantized) pack(s, f, q);
        } else {
            s->bias[f] = -INFINITY;
        }
    }
}

void screen_weights(struct screen *s, const struct kernels *kernels, struct pool *pool,
                    const float *w, const float *bias)
{
    struct weights_job job = {s, kernels, w, bias};
    pool_run(pool, weights_task, &job, s->padded / SCREEN_PANEL);
    s->most_n = s->most_m = 0;
    for (uint32_t f = 0; f < s->features; f++) {
        /* What isn't finite leaves no row a bound. */
        if (!(s->n[f] < huge) || !isfinite(bias[f])) s->most_n = INFINITY;
        s->most_n = fmaxf(s->most_n, s->n[f]);
        s->most_m = fmaxf(s->most_m, s->m[f]);
    }
}

void screen_block(const struct screen *s, const struct kernels *kernels, const float *input,
                  size_t stride, uint32_t rows, int eight_bit, struct screen_rows *x, float *slack)
{
    float k = k_of(s);
    for (uint32_t r = 0; r < rows; r++) {
        struct screen_vector v;
        if (s->quantized)
            s->kernels->quantize(input + r * stride, s->width, x->q + (size_t)r * 4 * s->groups,
                                 &v);
        else
            measure(kernels, input + r * stride, s->width, &v);
        x->step[r] = v.step;
        x->sum[r] = v.sum;
        x->e[r] = eight_bit ? (1 + k) * (v.rest + 3 * k * v.norm) : 3 * k * v.norm;
        x->e[r] = v.nonzero ? x->e[r] + tiny : 0;
        x->g[r] = eight_bit ? (1 + k) * v.quantized : 0;
        float most = x->e[r] * s->most_n + x->g[r] * s->most_m;
        slack[r] = most < huge && v.norm * s->most_n < huge ? most : INFINITY;
    }
}
