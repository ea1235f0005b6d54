#include "tests/hosts/replay.h"

#include "base/err.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int take_token(struct replay *r, int slot, int position, int token)
{
    if (position != r->count[slot] || position >= REPLAY_TOKENS)
        return err_set(ERR_FORMAT, "slot %d holds %d tokens, and position %d comes", slot,
                       r->count[slot], position);
    r->held[slot][r->count[slot]++] = token;
    r->tokens++;
    return ERR_OK;
}

/* Positions from .. to - 1 are gone, a hole that a shift closes; without one, `to` is the end. */
static int take_remove(struct replay *r, int slot, int from, int to)
{
    int *count = &r->count[slot];
    if (to < 0 || to > *count) to = *count;
    if (from < to)
        memmove(r->held[slot] + from, r->held[slot] + to, (size_t)(*count - to) * sizeof **r->held);
    if (from < to) *count -= to - from;
    r->removes++;
    return ERR_OK;
}

static int take_copy(struct replay *r, int slot, int to_slot)
{
    memcpy(r->held[to_slot], r->held[slot], sizeof r->held[slot]);
    r->count[to_slot] = r->count[slot];
    r->copies++;
    return ERR_OK;
}

static int take_save(struct replay *r, int slot)
{
    memcpy(r->saved, r->held[slot], sizeof r->saved);
    r->saved_count = r->count[slot];
    return ERR_OK;
}

static int take_load(struct replay *r, int slot)
{
    memcpy(r->held[slot], r->saved, sizeof r->saved);
    r->count[slot] = r->saved_count;
    r->loads++;
    return ERR_OK;
}

static int take_clear(struct replay *r)
{
    memset(r->count, 0, sizeof r->count);
    r->clears++;
    return ERR_OK;
}

static int take_event(struct replay *r, const char *event, int slot, int from, int to, int by)
{
    if (strcmp(event, "clear") == 0) return take_clear(r);
    if (strcmp(event, "remove") == 0) return take_remove(r, slot, from, to);
    if (strcmp(event, "copy") == 0 && by < REPLAY_SLOTS) return take_copy(r, slot, by);
    if (strcmp(event, "save") == 0) return take_save(r, slot);
    if (strcmp(event, "load") == 0) return take_load(r, slot);
    if (strcmp(event, "shift") != 0) return err_set(ERR_FORMAT, "no event is named %s", event);
    r->shifts++; /* the removal before it closed the hole */
    return ERR_OK;
}

static int take_line(struct replay *r, const char *line, int wanted)
{
    int context = -1, slot = 0, position = -1, token = 0, from = 0, to = 0, by = 0, result;
    const char *event = NULL;
    json_t *object = json_loads(line, 0, NULL);
    if (json_unpack(object, "{s:i, s:i, s?i, s?i, s?s, s?i, s?i, s?i}", "context", &context, "slot",
                    &slot, "position", &position, "token", &token, "event", &event, "from", &from,
                    "to", &to, "by", &by) != 0 ||
        slot >= REPLAY_SLOTS)
        result = err_set(ERR_FORMAT, "no line of a host's truth");
    else if (context != wanted)
        result = ERR_OK;
    else
        result =
            event ? take_event(r, event, slot, from, to, by) : take_token(r, slot, position, token);
    json_decref(object);
    return result;
}

int replay_read(const char *path, int context, struct replay *replay)
{
    char *line = NULL;
    size_t room = 0;
    int result = ERR_OK, number = 0;
    FILE *file = fopen(path, "r");
    if (!file) return err_set(ERR_NOTFOUND, "%s cannot be read", path);
    memset(replay, 0, sizeof *replay);
    while (result == ERR_OK && getline(&line, &room, file) > 0) {
        number++;
        result = take_line(replay, line, context);
        if (result != ERR_OK) err_set(result, "%s, line %d: %s", path, number, err_text());
    }
    free(line);
    fclose(file);
    return result;
}
