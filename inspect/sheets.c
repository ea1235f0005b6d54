#include "inspect/sheets.h"

#include "base/err.h"
#include "inspect/deflate.h"
#include "inspect/sheet.h"
#include "sae/cpu/pool.h"

#include <stdlib.h>
#include <string.h>

struct made { /* of one feature */
    struct index_entry entry;
    void *packed; /* NULL: no memory */
    size_t bytes;
};

struct sheets {
    const struct subject *subject;
    const struct record_view *view;
    const struct sorted *sorted;
    uint64_t kept_rows;
    const struct promoter *promoter;
    uint32_t features, first;
    float *cosines;    /* (NEIGHBOURS_BLOCK, features) */
    float *inverse;    /* (features) */
    uint32_t *scratch; /* (threads, 2, features) */
    struct promotes promotes[NEIGHBOURS_BLOCK];
    struct made made[NEIGHBOURS_BLOCK];
};

int sheets_open(const struct subject *subject, const struct record_view *view,
                const struct sorted *sorted, uint64_t kept_rows, const struct promoter *promoter,
                struct sheets **sheets)
{
    struct sheets *s = calloc(1, sizeof *s);
    if (!s) return err_set(ERR_NOMEM, "no memory for features' sheets");
    s->subject = subject;
    s->view = view;
    s->sorted = sorted;
    s->kept_rows = kept_rows;
    s->promoter = promoter;
    s->features = subject_features(subject);
    s->cosines = malloc((size_t)NEIGHBOURS_BLOCK * s->features * sizeof *s->cosines);
    s->scratch = calloc((size_t)pool_threads(subject->pool) * 2 * s->features, sizeof *s->scratch);
    s->inverse = malloc(s->features * sizeof *s->inverse);
    int result =
        s->cosines && s->scratch && s->inverse
            ? neighbours_norms(subject, s->inverse)
            : err_set(ERR_NOMEM, "no memory for the neighbours of %u features", s->features);
    if (result != ERR_OK)
        sheets_close(s);
    else
        *sheets = s;
    return result;
}

void sheets_close(struct sheets *s)
{
    if (!s) return;
    free(s->cosines);
    free(s->inverse);
    free(s->scratch);
    free(s);
}

static struct index_entry entry_of(const struct sheets *s, const struct portrait *p,
                                   size_t raw_bytes)
{
    return (struct index_entry){
        .raw_bytes = (uint32_t)raw_bytes,
        .rows = p->rows,
        .largest = p->largest,
        .mean = (float)p->mean,
        .token = p->tops ? (int32_t)s->view->row[p->top[0].row].token : -1,
    };
}

static void make(void *arg, uint32_t item, uint32_t thread)
{
    struct sheets *s = arg;
    struct made *made = &s->made[item];
    uint32_t f = s->first + item;
    uint32_t *counter = s->scratch + (size_t)thread * 2 * s->features;
    uint64_t begin = s->sorted->start[f], count = s->sorted->start[f + 1] - begin;
    struct sheet sheet = {.feature = f,
                          .kept_rows = s->kept_rows,
                          .hits = s->sorted->hit + begin,
                          .promotes = s->promoter ? &s->promotes[item] : NULL};
    portrait_make(s->view, f, sheet.hits, count, &sheet.portrait);
    sheet.togethers = neighbours_together(s->view, s->sorted, f, s->features, s->kept_rows, counter,
                                          counter + s->features, sheet.together);
    sheet.alikes =
        neighbours_alike(s->cosines + (size_t)item * s->features, f, s->features, sheet.alike);
    char *text = sheet_text(s->view, &sheet);
    made->packed = NULL;
    if (text && deflate_pack(text, strlen(text), &made->packed, &made->bytes) == ERR_OK)
        made->entry = entry_of(s, &sheet.portrait, strlen(text));
    free(text);
}

int sheets_add(struct sheets *s, struct index_writer *writer)
{
    uint32_t left = s->features - writer->features;
    uint32_t count = left < NEIGHBOURS_BLOCK ? left : NEIGHBOURS_BLOCK;
    int result = ERR_OK;
    s->first = writer->features;
    if (s->promoter) result = promotes_make(s->promoter, s->subject, s->first, count, s->promotes);
    if (result != ERR_OK) return result;
    neighbours_cosines(s->subject, s->inverse, s->first, count, s->cosines);
    pool_run(s->subject->pool, make, s, count);
    for (uint32_t i = 0; i < count; i++) {
        if (!s->made[i].packed) result = err_set(ERR_NOMEM, "no memory for features' sheets");
        if (result == ERR_OK)
            result =
                index_writer_add(writer, s->made[i].entry, s->made[i].packed, s->made[i].bytes);
        free(s->made[i].packed);
    }
    return result;
}
