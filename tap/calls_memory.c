/* The memory of the program's contexts (wrapper.h): what of it changes, and states that are loaded. */
#include "tap/context.h"
#include "tap/wrapper.h"

/* ---- memory ---- */

/* For each context of this memory; `c` is it. */
#define FOR_CONTEXTS_OF(memory)                                                                    \
    for (struct context *c = wrapper_is_ours() ? context_of_memory(memory, NULL) : NULL; c;        \
         c = context_of_memory(memory, c))

WRAPPER(void, llama_memory_clear, llama_memory_t memory, bool data)
{
    if (LIBRARY_REAL(llama_memory_clear)) LIBRARY_REAL(llama_memory_clear)(memory, data);
    FOR_CONTEXTS_OF(memory) slots_clear(&c->slots, -1);
}

WRAPPER(bool, llama_memory_seq_rm, llama_memory_t memory, llama_seq_id slot, llama_pos from,
        llama_pos to)
{
    bool done = LIBRARY_REAL(llama_memory_seq_rm) &&
                LIBRARY_REAL(llama_memory_seq_rm)(memory, slot, from, to);
    if (done) FOR_CONTEXTS_OF(memory) slots_remove(&c->slots, slot, from, to);
    return done;
}

WRAPPER(void, llama_memory_seq_cp, llama_memory_t memory, llama_seq_id source, llama_seq_id target,
        llama_pos from, llama_pos to)
{
    if (LIBRARY_REAL(llama_memory_seq_cp))
        LIBRARY_REAL(llama_memory_seq_cp)(memory, source, target, from, to);
    FOR_CONTEXTS_OF(memory) slots_copy(&c->slots, source, target);
}

WRAPPER(void, llama_memory_seq_keep, llama_memory_t memory, llama_seq_id slot)
{
    if (LIBRARY_REAL(llama_memory_seq_keep)) LIBRARY_REAL(llama_memory_seq_keep)(memory, slot);
    FOR_CONTEXTS_OF(memory) slots_keep(&c->slots, slot);
}

WRAPPER(void, llama_memory_seq_add, llama_memory_t memory, llama_seq_id slot, llama_pos from,
        llama_pos to, llama_pos delta)
{
    if (LIBRARY_REAL(llama_memory_seq_add))
        LIBRARY_REAL(llama_memory_seq_add)(memory, slot, from, to, delta);
    FOR_CONTEXTS_OF(memory) slots_shift(&c->slots, slot, from, to, delta);
}

WRAPPER(void, llama_memory_seq_div, llama_memory_t memory, llama_seq_id slot, llama_pos from,
        llama_pos to, int divisor)
{
    if (LIBRARY_REAL(llama_memory_seq_div))
        LIBRARY_REAL(llama_memory_seq_div)(memory, slot, from, to, divisor);
    FOR_CONTEXTS_OF(memory) slots_divide(&c->slots, slot, from, to, divisor);
}

/* ---- states ---- */

/* A state was loaded into a slot, or tried to be; -1: all. */
static void renew(const struct llama_context *llama, int32_t slot)
{
    struct context *c = wrapper_is_ours() ? context_of(llama) : NULL;
    if (c) slots_load(&c->slots, slot);
}

WRAPPER(size_t, llama_state_set_data, struct llama_context *llama, const uint8_t *from,
        size_t bytes)
{
    if (!LIBRARY_REAL(llama_state_set_data)) return 0;
    size_t read = LIBRARY_REAL(llama_state_set_data)(llama, from, bytes);
    renew(llama, -1);
    return read;
}

typedef size_t (*set_state)(struct llama_context *, const uint8_t *);

WRAPPER(size_t, llama_set_state_data, struct llama_context *llama, const uint8_t *from)
{
    set_state real = REAL_AS(set_state, llama_set_state_data);
    size_t read = real ? real(llama, from) : 0;
    renew(llama, -1);
    return read;
}

typedef bool (*load_state)(struct llama_context *, const char *, llama_token *, size_t, size_t *);

WRAPPER(bool, llama_state_load_file, struct llama_context *llama, const char *path,
        llama_token *tokens, size_t room, size_t *count)
{
    load_state real = REAL_AS(load_state, llama_state_load_file);
    bool done = real && real(llama, path, tokens, room, count);
    renew(llama, -1);
    return done;
}

WRAPPER(bool, llama_load_session_file, struct llama_context *llama, const char *path,
        llama_token *tokens, size_t room, size_t *count)
{
    load_state real = REAL_AS(load_state, llama_load_session_file);
    bool done = real && real(llama, path, tokens, room, count);
    renew(llama, -1);
    return done;
}

WRAPPER(size_t, llama_state_seq_set_data, struct llama_context *llama, const uint8_t *from,
        size_t bytes, llama_seq_id slot)
{
    if (!LIBRARY_REAL(llama_state_seq_set_data)) return 0;
    size_t read = LIBRARY_REAL(llama_state_seq_set_data)(llama, from, bytes, slot);
    renew(llama, slot);
    return read;
}

WRAPPER(size_t, llama_state_seq_set_data_ext, struct llama_context *llama, const uint8_t *from,
        size_t bytes, llama_seq_id slot, llama_state_seq_flags flags)
{
    if (!LIBRARY_REAL(llama_state_seq_set_data_ext)) return 0;
    size_t read = LIBRARY_REAL(llama_state_seq_set_data_ext)(llama, from, bytes, slot, flags);
    renew(llama, slot);
    return read;
}

WRAPPER(size_t, llama_state_seq_load_file, struct llama_context *llama, const char *path,
        llama_seq_id slot, llama_token *tokens, size_t room, size_t *count)
{
    if (!LIBRARY_REAL(llama_state_seq_load_file)) return 0;
    size_t read = LIBRARY_REAL(llama_state_seq_load_file)(llama, path, slot, tokens, room, count);
    if (tokens) renew(llama, slot); /* else it tells the number of tokens alone */
    return read;
}
