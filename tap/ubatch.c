#include "tap/ubatch.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

int submitted_make(struct submitted *s, uint32_t room)
{
    *s = (struct submitted){.room = room, .mask = 1};
    while (s->mask + 1 < 2 * (uint64_t)room) s->mask = 2 * s->mask + 1;
    s->entry = malloc(room * sizeof *s->entry);
    s->table = calloc(s->mask + 1, sizeof *s->table);
    if (s->entry && s->table) return ERR_OK;
    submitted_free(s);
    return err_set(ERR_NOMEM, "no memory for passes of %u tokens", room);
}

void submitted_free(struct submitted *s)
{
    free(s->entry);
    free(s->table);
    *s = (struct submitted){0};
}

/* The place in the table of this token at this position: its own, or a free one. */
static uint32_t *place(const struct submitted *s, int32_t token, int32_t position)
{
    uint64_t key = (uint64_t)(uint32_t)token << 32 | (uint32_t)position;
    uint32_t at = (uint32_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & s->mask;
    for (;; at = (at + 1) & s->mask) {
        if (!s->table[at]) return &s->table[at];
        const struct entry *e = &s->entry[s->table[at] - 1];
        if (e->token == token && e->position == position) return &s->table[at];
    }
}

void submitted_clear(struct submitted *s)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (s->entry[i].place) *s->entry[i].place = 0;
    s->count = s->ambiguous = 0;
}

static void set_ambiguous(struct submitted *s, struct entry *e)
{
    s->ambiguous += !e->is_ambiguous;
    e->is_ambiguous = 1;
}

int submitted_add(struct submitted *s, int32_t token, int32_t position, int32_t slot,
                  uint32_t generation)
{
    if (s->count == s->room) return 0;
    struct entry *e = &s->entry[s->count];
    uint32_t *at = place(s, token, position);
    *e = (struct entry){
        .token = token, .position = position, .slot = slot, .generation = generation};
    s->count++;
    if (slot < 0) set_ambiguous(s, e);
    if (*at) {
        set_ambiguous(s, e);
        set_ambiguous(s, &s->entry[*at - 1]);
    } else {
        *at = s->count;
        e->place = at;
    }
    return 1;
}

int ubatch_match(struct submitted *s, uint32_t n, const int32_t *tokens, const int32_t *positions,
                 uint32_t *owner)
{
    for (uint32_t r = 0; r < n; r++) {
        uint32_t i = *place(s, tokens[r], positions[r]);
        if (!i) /* which one is the text of somebody: it is in no log */
            return err_set(ERR_MISMATCH, "the graph computes a token that was not submitted");
        struct entry *e = &s->entry[i - 1];
        owner[r] = e->is_ambiguous ? UBATCH_NOBODY : i - 1;
        if (!e->is_ambiguous && e->is_claimed)
            return err_set(ERR_MISMATCH, "the graph computes a token twice");
        e->is_claimed = 1;
    }
    return ERR_OK;
}
