#include "tests/hosts/slot.h"
#include "tests/hosts/truth.h"

#include <stdlib.h>
#include <string.h>

static void *must_have(void *block)
{
    if (!block) host_die("no memory");
    return block;
}

static llama_memory_t memory_of(const struct batch *batch)
{
    return llama_get_memory(batch->context);
}

void slot_open(struct slot *slot, int id, int room, int said_room)
{
    *slot = (struct slot){.id = id, .room = room, .said_room = said_room, .first_answer = -1};
    slot->text = must_have(calloc((size_t)room, sizeof *slot->text));
    slot->said = must_have(calloc((size_t)said_room, sizeof *slot->said));
}

void slot_close(struct slot *slot)
{
    free(slot->text);
    free(slot->said);
    free(slot->kept.bytes);
    free(slot->kept.text);
}

static void append(struct slot *slot, llama_token token)
{
    if (slot->count == slot->room)
        host_die("slot %d has more than %d tokens; HINT: --context, or --shift", slot->id,
                 slot->room);
    slot->text[slot->count++] = token;
}

void slot_ask(struct slot *slot, const llama_token *tokens, int count, int wanted)
{
    for (int i = 0; i < count; i++) append(slot, tokens[i]);
    slot->wanted = wanted;
}

void slot_guess(struct slot *slot, int most)
{
    const llama_token *text = slot->text;
    int end = slot->count, found = -1;
    if (slot->held != end - 1 || end < 2) return; /* a prompt is on its way */
    for (int i = end - 2; i > 0 && found < 0; i--)
        if (text[i] == text[end - 1] && text[i - 1] == text[end - 2]) found = i + 1;
    if (most > slot->wanted - 1) most = slot->wanted - 1;
    for (int i = 0; i < most && slot->count < slot->room; i++, slot->drafted++)
        append(slot, text[found < 0 ? end - 1 : found + i]);
}

int slot_submit(struct slot *slot, struct batch *batch, int room)
{
    int count = slot->count - slot->held, answers = slot->count - slot->drafted - 1;
    if (count > room) count = room;
    slot->first_answer = -1;
    for (int i = 0; i < count; i++) {
        int position = slot->held + i;
        int index = batch_add(batch, slot->id, position, slot->text[position], position >= answers);
        if (position == answers) slot->first_answer = index;
    }
    slot->held += count;
    return count;
}

static void say(struct slot *slot, llama_token token)
{
    if (slot->said_count < slot->said_room) slot->said[slot->said_count++] = token;
    slot->wanted--;
}

static void remove_from(struct slot *slot, struct batch *batch, int from, int to)
{
    if (!llama_memory_seq_rm(memory_of(batch), slot->id, from, to))
        host_die("slot %d: positions %d to %d cannot be removed", slot->id, from, to);
    truth_event(batch->truth, batch->number, "remove", slot->id, from, to, 0);
}

int slot_hear(struct slot *slot, struct batch *batch)
{
    if (slot->first_answer < 0 || slot->wanted <= 0) return 0;
    int kept = 0, begin = slot->count - slot->drafted;
    llama_token token = batch_greedy(batch, slot->first_answer);
    while (kept < slot->drafted && slot->text[begin + kept] == token) {
        say(slot, token);
        token = batch_greedy(batch, slot->first_answer + ++kept);
    }
    if (kept < slot->drafted) remove_from(slot, batch, begin + kept, -1);
    slot->held = slot->count = begin + kept;
    slot->drafted = 0;
    append(slot, token);
    say(slot, token);
    return kept + 1;
}

void slot_forget(struct slot *slot, struct batch *batch)
{
    remove_from(slot, batch, slot->shared, -1);
    slot->held = slot->shared;
}

void slot_shift(struct slot *slot, struct batch *batch)
{
    int from = slot->shared, gone = (slot->held - from) / 2;
    remove_from(slot, batch, from, from + gone);
    llama_memory_seq_add(memory_of(batch), slot->id, from + gone, -1, -gone);
    truth_event(batch->truth, batch->number, "shift", slot->id, from + gone, -1, -gone);
    memmove(slot->text + from, slot->text + from + gone,
            (size_t)(slot->count - from - gone) * sizeof *slot->text);
    slot->held -= gone;
    slot->count -= gone;
}

void slot_keep(struct slot *slot, struct batch *batch)
{
    slot->kept.size = llama_state_seq_get_size(batch->context, slot->id);
    slot->kept.bytes = must_have(malloc(slot->kept.size));
    if (!llama_state_seq_get_data(batch->context, slot->kept.bytes, slot->kept.size, slot->id))
        host_die("the state of slot %d cannot be saved", slot->id);
    slot->kept.text = must_have(malloc((size_t)slot->count * sizeof *slot->text));
    memcpy(slot->kept.text, slot->text, (size_t)slot->count * sizeof *slot->text);
    slot->kept.count = slot->count;
    slot->kept.held = slot->held;
    slot->kept.turn = slot->turn;
    slot->kept.wanted = slot->wanted;
    slot->kept.said_count = slot->said_count;
    truth_event(batch->truth, batch->number, "save", slot->id, 0, slot->held, 0);
}

void slot_go_back(struct slot *slot, struct batch *batch)
{
    if (!slot->kept.bytes) return;
    if (!llama_state_seq_set_data(batch->context, slot->kept.bytes, slot->kept.size, slot->id))
        host_die("the state of slot %d cannot be loaded", slot->id);
    slot->count = slot->kept.count;
    memcpy(slot->text, slot->kept.text, (size_t)slot->count * sizeof *slot->text);
    free(slot->kept.bytes);
    free(slot->kept.text);
    slot->kept.bytes = NULL;
    slot->kept.text = NULL;
    slot->held = slot->kept.held;
    slot->turn = slot->kept.turn;
    slot->wanted = slot->kept.wanted;
    slot->said_count = slot->kept.said_count;
    truth_event(batch->truth, batch->number, "load", slot->id, 0, slot->held, 0);
}
