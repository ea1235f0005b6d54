#include "broker/errors.h"

#include "base/json_put.h"

#include <stdlib.h>
#include <string.h>

/* Cut where a character ends; a peer's text is made one line. */
static void copy_text(char *out, const char *text)
{
    size_t n = strlen(text);
    if (n >= REPORT_ERROR_BYTES) {
        n = REPORT_ERROR_BYTES - 1;
        while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80) n--;
    }
    for (size_t i = 0; i < n; i++)
        out[i] = (char)((unsigned char)text[i] < ' ' || text[i] == 0x7f ? ' ' : text[i]);
    out[n] = '\0';
}

static int is_known(const struct errors *e, const char *process, double life, double number)
{
    for (int i = 0; i < ERRORS_KEPT; i++)
        if (strcmp(e->error[i].process, process) == 0 && e->error[i].life == life &&
            e->error[i].number >= number)
            return 1;
    return 0;
}

/* Where one of this time goes: a free place, else that of the oldest, of the same process where it has
 * its share; NULL: it is older than all of them, and was here before. */
static struct error *place_for(struct errors *e, const char *process, uint64_t ns)
{
    struct error *oldest = NULL, *own = NULL;
    unsigned its = 0;
    for (int i = 0; i < ERRORS_KEPT; i++) {
        struct error *one = &e->error[i];
        int is_own = strcmp(one->process, process) == 0;
        its += (unsigned)is_own;
        if (is_own && (!own || one->ns < own->ns)) own = one;
        if (!oldest || one->ns < oldest->ns) oldest = one;
    }
    struct error *place = its >= ERRORS_OF_ONE ? own : oldest;
    return place->process[0] && ns <= place->ns ? NULL : place;
}

void errors_note(struct errors *e, const char *process, const json_t *report, uint64_t now_ns)
{
    const json_t *last = json_object_get(report, REPORT_LAST_ERROR);
    const char *text = json_string_value(json_object_get(last, "text"));
    double number = json_number_value(json_object_get(last, "number"));
    double ago = json_number_value(json_object_get(last, "seconds_ago"));
    double life =
        json_number_value(json_object_get(report, report_names[REPORT_PROCESS_START_SECONDS]));
    double most = (double)now_ns / 1e9;
    uint64_t ns = now_ns - (uint64_t)(1e9 * (ago > 0 ? (ago < most ? ago : most) : 0));
    if (!text || !text[0] || is_known(e, process, life, number)) return;
    struct error *new = place_for(e, process, ns);
    if (!new) return;
    memset(new, 0, sizeof *new);
    strncpy(new->process, process, sizeof new->process - 1);
    copy_text(new->text, text);
    new->life = life;
    new->number = number;
    new->ns = ns;
}

static int by_age(const void *a, const void *b)
{
    const struct error *x = *(const struct error *const *)a, *y = *(const struct error *const *)b;
    return x->ns < y->ns ? 1 : x->ns > y->ns ? -1 : 0;
}

void errors_write(const struct errors *e, uint64_t now_ns, FILE *out)
{
    const struct error *sorted[ERRORS_KEPT];
    json_t *list = json_array();
    for (int i = 0; i < ERRORS_KEPT; i++) sorted[i] = &e->error[i];
    qsort(sorted, ERRORS_KEPT, sizeof *sorted, by_age);
    for (int i = 0; i < ERRORS_KEPT; i++) {
        const struct error *one = sorted[i];
        if (!one->process[0]) continue;
        json_t *item = json_object();
        json_put_text(item, "process", one->process);
        json_put_number(item, "seconds_ago",
                        now_ns > one->ns ? (double)(now_ns - one->ns) / 1e9 : 0);
        json_put_text(item, "text", one->text);
        json_array_append_new(list, item);
    }
    if (!list || json_dumpf(list, out, JSON_COMPACT | JSON_REAL_PRECISION(12)) != 0)
        fputs("[]", out);
    json_decref(list);
}
