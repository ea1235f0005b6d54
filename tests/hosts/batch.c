#include "tests/hosts/batch.h"
#include "tests/hosts/truth.h"

#include <stdarg.h>
#include <stdlib.h>

void host_die(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    fputs("batched: ", stderr);
    vfprintf(stderr, format, values);
    fputc('\n', stderr);
    va_end(values);
    exit(1);
}

void batch_open(struct batch *batch, struct llama_context *context, int number, int room,
                int processes, FILE *truth)
{
    *batch = (struct batch){
        .context = context, .number = number, .room = room, .processes = processes, .truth = truth};
    if (processes)
        batch->large = llama_batch_ext_init(context);
    else
        batch->plain = llama_batch_init(room, 0, 1);
}

void batch_close(struct batch *batch)
{
    if (batch->processes)
        llama_batch_ext_free(batch->large);
    else
        llama_batch_free(batch->plain);
}

static void add_large(struct llama_batch_ext *large, int slot, llama_pos position,
                      llama_token token, int answers)
{
    int index = llama_batch_ext_add_token(large, slot, token);
    if (index < 0) host_die("a token of slot %d is refused: %d", slot, index);
    llama_batch_ext_set_pos(large, index, &position);
    llama_batch_ext_set_output_logits(large, index, answers);
}

int batch_add(struct batch *batch, int slot, int position, llama_token token, int answers)
{
    int i = batch->count++;
    if (i >= batch->room) host_die("more than %d tokens in one batch", batch->room);
    if (batch->processes) {
        add_large(batch->large, slot, position, token, answers);
    } else {
        batch->plain.token[i] = token;
        batch->plain.pos[i] = position;
        batch->plain.n_seq_id[i] = 1;
        batch->plain.seq_id[i][0] = slot;
        batch->plain.logits[i] = (int8_t)answers;
        batch->plain.n_tokens = batch->count;
    }
    truth_token(batch->truth, batch->number, batch->call, slot, position, token);
    return i;
}

void batch_run(struct batch *batch)
{
    if (!batch->count) return;
    truth_flush(batch->truth);
    int result = batch->processes
                     ? llama_process(batch->context, LLAMA_PROCESS_TYPE_DECODE, batch->large)
                     : llama_decode(batch->context, batch->plain);
    if (result) host_die("%d tokens could not be decoded: %d", batch->count, result);
    if (batch->processes) llama_batch_ext_clear(batch->large);
    batch->plain.n_tokens = batch->count = 0;
    batch->call++;
}

llama_token batch_greedy(const struct batch *batch, int index)
{
    const struct llama_vocab *vocab = llama_model_get_vocab(llama_get_model(batch->context));
    const float *logits = llama_get_logits_ith(batch->context, index);
    if (!logits) host_die("no logits of token %d", index);
    llama_token best = 0;
    for (llama_token i = 1; i < llama_vocab_n_tokens(vocab); i++)
        if (logits[i] > logits[best]) best = i;
    return best;
}
