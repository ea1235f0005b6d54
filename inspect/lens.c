#include "inspect/lens.h"

#include "base/err.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void lens_hook(int32_t layers, char out[64])
{
    snprintf(out, 64, "resid_post.%d", layers - 1);
}

/* ---- rows in, logits out ---- */

struct replacing {
    struct lens *lens;
    float *logits; /* (rows, vocabulary) */
};

static int replace(void *arg, uint32_t hook, uint32_t first, uint32_t rows, float *values)
{
    const struct replacing *r = arg;
    size_t width = r->lens->width;
    if (hook == r->lens->hook)
        memcpy(values, r->lens->rows + first * width, rows * width * sizeof *values);
    return ERR_OK;
}

static int take_logits(void *arg, uint32_t first, uint32_t rows, const float *logits)
{
    const struct replacing *r = arg;
    size_t vocabulary = r->lens->vocabulary;
    memcpy(r->logits + first * vocabulary, logits, rows * vocabulary * sizeof *logits);
    return ERR_OK;
}

/* The logits of lens->rows (n, width), n of PLAYER_PASS_TOKENS at most. */
static int read_rows(struct lens *lens, uint32_t n, float *logits)
{
    static const int32_t nothing[PLAYER_PASS_TOKENS];
    struct replacing to = {lens, logits};
    struct llama_player_watch watch = {replace, take_logits, &to};
    llama_player_clear(lens->player);
    int result = llama_player_feed(lens->player, nothing, n, &watch);
    llama_player_clear(lens->player);
    return result;
}

/* ---- opening ---- */

/* A row and the same with a constant added: a layer norm does not see the constant. */
static int find_norm(struct lens *lens)
{
    for (uint32_t i = 0; i < lens->width; i++) {
        lens->rows[i] = (float)sin(i + 1.0);
        lens->rows[lens->width + i] = lens->rows[i] + 1;
    }
    int result = read_rows(lens, 2, lens->halves);
    if (result != ERR_OK) return result;
    double difference = 0, size = 0;
    for (uint32_t v = 0; v < lens->vocabulary; v++) {
        difference += fabs((double)lens->halves[v] - (double)lens->halves[lens->vocabulary + v]);
        size += fabs((double)lens->halves[v]);
    }
    lens->centres = difference < 1e-3 * size;
    return ERR_OK;
}

int lens_open(struct llama_player *player, const struct llama_hooks *hooks, uint32_t hook,
              struct lens *lens)
{
    *lens = (struct lens){.player = player, .hooks = hooks, .hook = hook};
    lens->width = hooks->hook[hook].width;
    lens->vocabulary = (uint32_t)llama_runner_tokens(llama_player_runner(player));
    lens->rows = malloc((size_t)PLAYER_PASS_TOKENS * lens->width * sizeof *lens->rows);
    lens->halves = malloc((size_t)PLAYER_PASS_TOKENS * lens->vocabulary * sizeof *lens->halves);
    int result = lens->rows && lens->halves ? find_norm(lens)
                                            : err_set(ERR_NOMEM, "no memory for the logit lens");
    if (result != ERR_OK) lens_close(lens);
    return result;
}

void lens_close(struct lens *lens)
{
    free(lens->rows);
    free(lens->halves);
    *lens = (struct lens){0};
}

/* ---- directions ---- */

static double mean_of(const struct lens *lens, const float *row)
{
    double sum = 0;
    for (uint32_t i = 0; i < lens->width && lens->centres; i++) sum += (double)row[i];
    return sum / lens->width;
}

double lens_divisor(const struct lens *lens, const float *row)
{
    double mean = mean_of(lens, row), square = 0;
    for (uint32_t i = 0; i < lens->width; i++)
        square += ((double)row[i] - mean) * ((double)row[i] - mean);
    return sqrt(square / lens->width);
}

/* At a divisor of 1, so that what the norm adds to its divisor against zero is small beside it. */
static void lay(struct lens *lens, const float *direction, uint32_t at, double sign)
{
    double divisor = lens_divisor(lens, direction);
    double factor = divisor > 0 ? sign / divisor : 0;
    for (uint32_t i = 0; i < lens->width; i++)
        lens->rows[(size_t)at * lens->width + i] = (float)((double)direction[i] * factor);
}

/* Half the difference of d's and -d's logits: what the norm and the unembedding add of their own goes
 * away. The second half of a pass are the negatives. */
static void tell(const struct lens *lens, const float *direction, uint32_t at, uint32_t negative,
                 float *logits)
{
    double divisor = lens_divisor(lens, direction), sum = 0;
    const float *plus = lens->halves + (size_t)at * lens->vocabulary;
    const float *minus = lens->halves + (size_t)negative * lens->vocabulary;
    for (uint32_t v = 0; v < lens->vocabulary; v++) {
        double added = divisor > 0 ? ((double)plus[v] - (double)minus[v]) / 2 * divisor : 0;
        logits[v] = (float)added;
        sum += added;
    }
    for (uint32_t v = 0; v < lens->vocabulary; v++) logits[v] -= (float)(sum / lens->vocabulary);
}

int lens_read(struct lens *lens, const float *directions, uint32_t n,
              void (*take)(void *arg, uint32_t index, float *logits), void *arg)
{
    enum { AT_ONCE = PLAYER_PASS_TOKENS / 2 };
    float *logits = malloc(lens->vocabulary * sizeof *logits);
    int result = logits ? ERR_OK : err_set(ERR_NOMEM, "no memory for the logit lens");
    for (uint32_t from = 0; from < n && result == ERR_OK; from += AT_ONCE) {
        uint32_t count = n - from < AT_ONCE ? n - from : AT_ONCE;
        for (uint32_t i = 0; i < count; i++) {
            const float *direction = directions + (size_t)(from + i) * lens->width;
            lay(lens, direction, i, 1);
            lay(lens, direction, count + i, -1);
        }
        result = read_rows(lens, 2 * count, lens->halves);
        for (uint32_t i = 0; i < count && result == ERR_OK; i++) {
            tell(lens, directions + (size_t)(from + i) * lens->width, i, count + i, logits);
            take(arg, from + i, logits);
        }
    }
    free(logits);
    return result;
}
