/* The program's llama_batch_ext (wrapper.h): what it puts into one is kept beside it. */
#include "tap/batches.h"
#include "tap/wrapper.h"

WRAPPER(struct llama_batch_ext *, llama_batch_ext_init, struct llama_context *llama)
{
    int outermost = wrapper_is_ours();
    if (!LIBRARY_REAL(llama_batch_ext_init)) return NULL;
    struct llama_batch_ext *batch = LIBRARY_REAL(llama_batch_ext_init)(llama);
    if (outermost) batches_open(batch);
    return batch;
}

WRAPPER(void, llama_batch_ext_free, struct llama_batch_ext *batch)
{
    if (wrapper_is_ours()) batches_close(batch);
    if (LIBRARY_REAL(llama_batch_ext_free)) LIBRARY_REAL(llama_batch_ext_free)(batch);
}

WRAPPER(void, llama_batch_ext_clear, struct llama_batch_ext *batch)
{
    if (wrapper_is_ours()) batches_clear(batch);
    if (LIBRARY_REAL(llama_batch_ext_clear)) LIBRARY_REAL(llama_batch_ext_clear)(batch);
}

WRAPPER(int32_t, llama_batch_ext_add, struct llama_batch_ext *batch, llama_seq_id slot)
{
    if (!LIBRARY_REAL(llama_batch_ext_add)) return -1;
    int32_t index = LIBRARY_REAL(llama_batch_ext_add)(batch, slot);
    if (wrapper_is_ours()) batches_add(batch, index, slot, LLAMA_TOKEN_NULL, 1);
    return index;
}

WRAPPER(int32_t, llama_batch_ext_add_token, struct llama_batch_ext *batch, llama_seq_id slot,
        llama_token token)
{
    if (!LIBRARY_REAL(llama_batch_ext_add_token)) return -1;
    int32_t index = LIBRARY_REAL(llama_batch_ext_add_token)(batch, slot, token);
    if (wrapper_is_ours()) batches_add(batch, index, slot, token, 0);
    return index;
}

WRAPPER(int32_t, llama_batch_ext_add_embd, struct llama_batch_ext *batch, llama_seq_id slot,
        struct llama_embd embedding)
{
    if (!LIBRARY_REAL(llama_batch_ext_add_embd)) return -1;
    int32_t index = LIBRARY_REAL(llama_batch_ext_add_embd)(batch, slot, embedding);
    if (wrapper_is_ours()) batches_add(batch, index, slot, LLAMA_TOKEN_NULL, 1);
    return index;
}

WRAPPER(bool, llama_batch_ext_add_seq, struct llama_batch_ext *batch, int32_t index,
        llama_seq_id slot)
{
    bool done = LIBRARY_REAL(llama_batch_ext_add_seq) &&
                LIBRARY_REAL(llama_batch_ext_add_seq)(batch, index, slot);
    if (done && wrapper_is_ours()) batches_share(batch, index, slot);
    return done;
}

WRAPPER(bool, llama_batch_ext_set_embd_token, struct llama_batch_ext *batch, int32_t index,
        struct llama_embd embedding)
{
    bool done = LIBRARY_REAL(llama_batch_ext_set_embd_token) &&
                LIBRARY_REAL(llama_batch_ext_set_embd_token)(batch, index, embedding);
    if (done && wrapper_is_ours()) batches_set_embedding(batch, index);
    return done;
}

WRAPPER(bool, llama_batch_ext_set_embd_state, struct llama_batch_ext *batch, int32_t index,
        struct llama_embd embedding)
{
    bool done = LIBRARY_REAL(llama_batch_ext_set_embd_state) &&
                LIBRARY_REAL(llama_batch_ext_set_embd_state)(batch, index, embedding);
    if (done && wrapper_is_ours()) batches_set_embedding(batch, index);
    return done;
}

WRAPPER(bool, llama_batch_ext_set_pos, struct llama_batch_ext *batch, int32_t index,
        const llama_pos *position)
{
    bool done = LIBRARY_REAL(llama_batch_ext_set_pos) &&
                LIBRARY_REAL(llama_batch_ext_set_pos)(batch, index, position);
    if (done && wrapper_is_ours()) batches_set_position(batch, index, position[0]);
    return done;
}
