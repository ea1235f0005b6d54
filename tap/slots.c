#include "tap/slots.h"

#include "base/err.h"
#include "tap/marker.h"

#include <stdlib.h>

static void begin(struct slot *s)
{
    s->first = s->highest = -1;
    s->generation++;
    s->is_numbered = 0;
    s->sequence = 0;
    s->begun = MARKER_UNKNOWN;
}

static void forget_settings(struct slot *s)
{
    s->setting = 0;
    s->mixed_from = SLOT_NOWHERE;
    for (int k = 0; k < SLOT_CHANGES; k++) s->noted_from[k] = SLOT_NOWHERE;
    s->is_excluded = 0;
    s->read_for = SLOT_NO_TEXT;
    s->begun = MARKER_NOTHING;
}

int slots_make(struct slots *s, uint32_t count)
{
    *s = (struct slots){.count = count, .slot = calloc(count, sizeof *s->slot)};
    if (!s->slot) return err_set(ERR_NOMEM, "no memory for %u slots", count);
    slots_clear(s, -1);
    return ERR_OK;
}

void slots_free(struct slots *s)
{
    free(s->slot);
    *s = (struct slots){0};
}

static int32_t lower(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

static int is_meant(const struct slots *s, uint32_t i, int32_t slot)
{
    return i < s->count && (slot < 0 || (uint32_t)slot == i);
}

void slots_renew(struct slots *s, int32_t slot)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (is_meant(s, i, slot)) begin(&s->slot[i]);
}

void slots_miss(struct slots *s, int32_t slot)
{
    for (uint32_t i = 0; i < s->count; i++) {
        if (!is_meant(s, i, slot)) continue;
        if (s->slot[i].setting)
            s->slot[i].mixed_from = lower(s->slot[i].mixed_from, s->slot[i].highest + 1);
        begin(&s->slot[i]);
        s->slot[i].read_for = 0;
    }
}

void slots_clear(struct slots *s, int32_t slot)
{
    slots_renew(s, slot);
    for (uint32_t i = 0; i < s->count; i++)
        if (is_meant(s, i, slot)) forget_settings(&s->slot[i]);
}

void slots_load(struct slots *s, int32_t slot)
{
    slots_clear(s, slot);
    for (uint32_t i = 0; i < s->count; i++) {
        if (!is_meant(s, i, slot)) continue;
        s->slot[i].begun = MARKER_UNKNOWN;
        s->slot[i].is_excluded = s->has_excluded;
        s->slot[i].read_for = 0;
        for (int k = 0; k < SLOT_CHANGES; k++)
            if (s->has_noted[k]) s->slot[i].noted_from[k] = 0;
    }
}

/* How the text ends that goes to `from` now, where this generation has submitted what is before. */
static uint64_t begun_before(const struct slot *s, int32_t from, int32_t to)
{
    int32_t last = from - 1;
    int is_tail = to < 0 || to > s->highest;
    if (!is_tail || s->first < 0 || last < s->first || s->past[last % SLOT_PAST].position != last)
        return MARKER_UNKNOWN;
    return s->past[last % SLOT_PAST].begun;
}

/* What lies in from .. to is other than it was. Above all that was submitted that means nothing. */
static void change(struct slots *s, int32_t slot, int32_t from, int32_t to)
{
    for (uint32_t i = 0; i < s->count; i++) {
        if (!is_meant(s, i, slot) || from > s->slot[i].highest) continue;
        if (to < 0 || to > 0) begin(&s->slot[i]);
    }
}

void slots_remove(struct slots *s, int32_t slot, int32_t from, int32_t to)
{
    for (uint32_t i = 0; i < s->count; i++) {
        if (!is_meant(s, i, slot)) continue;
        uint64_t begun = begun_before(&s->slot[i], from, to);
        uint32_t generation = s->slot[i].generation;
        change(s, (int32_t)i, from, to);
        if (s->slot[i].generation != generation) s->slot[i].begun = begun;
        if (to >= 0) continue;
        if (from <= s->slot[i].mixed_from) s->slot[i].mixed_from = SLOT_NOWHERE;
        for (int k = 0; k < SLOT_CHANGES; k++)
            if (from <= s->slot[i].noted_from[k]) s->slot[i].noted_from[k] = SLOT_NOWHERE;
        if (from <= 0) forget_settings(&s->slot[i]);
    }
}

/* Positions mean others from here on. */
static void move_settings(struct slots *s, int32_t slot)
{
    for (uint32_t i = 0; i < s->count; i++) {
        if (!is_meant(s, i, slot)) continue;
        if (s->slot[i].mixed_from != SLOT_NOWHERE) s->slot[i].mixed_from = 0;
        for (int k = 0; k < SLOT_CHANGES; k++)
            if (s->slot[i].noted_from[k] != SLOT_NOWHERE) s->slot[i].noted_from[k] = 0;
    }
}

static uint32_t older(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

void slots_copy(struct slots *s, int32_t source, int32_t target)
{
    if (source == target || target < 0) return;
    slots_renew(s, target);
    if (source < 0 || (uint32_t)source >= s->count || (uint32_t)target >= s->count) return;
    struct slot *to = &s->slot[target];
    const struct slot *from = &s->slot[source];
    to->setting = from->setting;
    to->mixed_from = lower(to->mixed_from, from->mixed_from);
    for (int k = 0; k < SLOT_CHANGES; k++)
        to->noted_from[k] = lower(to->noted_from[k], from->noted_from[k]);
    to->is_excluded |= from->is_excluded;
    to->read_for = older(to->read_for, from->read_for);
}

void slots_keep(struct slots *s, int32_t slot)
{
    for (uint32_t i = 0; i < s->count; i++)
        if ((uint32_t)slot != i) slots_clear(s, (int32_t)i);
}

void slots_shift(struct slots *s, int32_t slot, int32_t from, int32_t to, int32_t delta)
{
    if (!delta) return;
    change(s, slot, from, to);
    move_settings(s, slot);
}

void slots_divide(struct slots *s, int32_t slot, int32_t from, int32_t to, int32_t divisor)
{
    if (divisor == 1) return;
    change(s, slot, from, to);
    move_settings(s, slot);
}

uint32_t slots_submit(struct slots *s, int32_t slot, int32_t position)
{
    if (slot < 0 || (uint32_t)slot >= s->count) return 0;
    struct slot *own = &s->slot[slot];
    if (position <= own->highest) begin(own);
    if (own->first < 0) own->first = position;
    own->highest = position;
    return own->generation;
}

int slots_set(struct slots *s, int32_t slot, int32_t position, uint64_t setting)
{
    if (slot < 0 || (uint32_t)slot >= s->count) return 0;
    struct slot *own = &s->slot[slot];
    if (position <= 0) {
        forget_settings(own);
        own->setting = setting;
    }
    int is_other = position > 0 && (own->setting != setting || own->mixed_from < position);
    if (own->setting != setting) own->mixed_from = lower(own->mixed_from, position);
    if (setting) slots_note(s, slot, position, SLOT_STEERED);
    return is_other;
}

void slots_set_begun(struct slots *s, int32_t slot, int32_t position, uint64_t begun)
{
    if (slot < 0 || (uint32_t)slot >= s->count || position < 0) return;
    s->slot[slot].begun = s->slot[slot].past[position % SLOT_PAST].begun = begun;
    s->slot[slot].past[position % SLOT_PAST].position = position;
}

void slots_exclude(struct slots *s, int32_t slot)
{
    if (slot < 0 || (uint32_t)slot >= s->count) return;
    s->slot[slot].is_excluded = s->has_excluded = 1;
}

int slots_is_excluded(const struct slots *s, int32_t slot)
{
    return slot >= 0 && (uint32_t)slot < s->count && s->slot[slot].is_excluded;
}

void slots_read(struct slots *s, int32_t slot, uint32_t marker)
{
    if (slot < 0 || (uint32_t)slot >= s->count) return;
    s->slot[slot].read_for = older(s->slot[slot].read_for, marker);
}

int slots_is_read(const struct slots *s, int32_t slot, uint32_t marker)
{
    return slot < 0 || (uint32_t)slot >= s->count || s->slot[slot].read_for >= marker;
}

void slots_note(struct slots *s, int32_t slot, int32_t position, enum slot_change change)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (is_meant(s, i, slot))
            s->slot[i].noted_from[change] = lower(s->slot[i].noted_from[change], position);
    s->has_noted[change] = 1;
}

int slots_is_noted(const struct slots *s, int32_t slot, enum slot_change change)
{
    return slot >= 0 && (uint32_t)slot < s->count &&
           s->slot[slot].noted_from[change] != SLOT_NOWHERE;
}

uint64_t slots_sequence(struct slots *s, int32_t slot, uint32_t generation, slots_number number,
                        void *arg, uint32_t *reused)
{
    *reused = 0;
    if (slot < 0 || (uint32_t)slot >= s->count) return 0;
    struct slot *own = &s->slot[slot];
    if (own->generation != generation) return 0;
    if (own->is_numbered) return own->sequence;
    own->is_numbered = 1;
    own->sequence = number(arg);
    if (own->sequence) *reused = (uint32_t)(own->first > 0 ? own->first : 0);
    return own->sequence;
}

void slots_forget_numbers(struct slots *s)
{
    for (uint32_t i = 0; i < s->count; i++) s->slot[i].is_numbered = 0;
}
