/*
 * A GGUF of a llama with random weights, a vocabulary of 256 bytes, BOS and EOS: three layers, 32
 * wide. It loads in no time, and computes what a model does.
 */
#ifndef SLUICE_TESTS_E2E_TINY_MODEL_H
#define SLUICE_TESTS_E2E_TINY_MODEL_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { TINY_WIDTH = 32, TINY_LAYERS = 3, TINY_INNER = 64, TINY_TOKENS = 258, TINY_ALIGN = 32 };
enum { TINY_U32 = 4, TINY_I32 = 5, TINY_F32 = 6, TINY_STRING = 8, TINY_ARRAY = 9 };

struct tiny {
    FILE *file;
    uint64_t keys, tensors, at; /* at: offset of the next tensor's data */
    uint64_t seed;
};

static void tiny_put(struct tiny *t, const void *data, size_t bytes)
{
    if (t->file) fwrite(data, 1, bytes, t->file);
}

static void tiny_u32(struct tiny *t, uint32_t x)
{
    tiny_put(t, &x, sizeof x);
}

static void tiny_u64(struct tiny *t, uint64_t x)
{
    tiny_put(t, &x, sizeof x);
}

static void tiny_text(struct tiny *t, const char *text)
{
    tiny_u64(t, strlen(text));
    tiny_put(t, text, strlen(text));
}

static void tiny_key(struct tiny *t, const char *key, uint32_t type)
{
    t->keys++;
    tiny_text(t, key);
    tiny_u32(t, type);
}

static void tiny_key_u32(struct tiny *t, const char *key, uint32_t x)
{
    tiny_key(t, key, TINY_U32);
    tiny_u32(t, x);
}

static void tiny_key_text(struct tiny *t, const char *key, const char *text)
{
    tiny_key(t, key, TINY_STRING);
    tiny_text(t, text);
}

static void tiny_key_f32(struct tiny *t, const char *key, float x)
{
    tiny_key(t, key, TINY_F32);
    tiny_put(t, &x, sizeof x);
}

static void tiny_key_array(struct tiny *t, const char *key, uint32_t type, uint64_t count)
{
    tiny_key(t, key, TINY_ARRAY);
    tiny_u32(t, type);
    tiny_u64(t, count);
}

/* The characters by which byte-level BPE writes bytes: printable ones stand for themselves. */
static void tiny_byte(struct tiny *t, unsigned byte, unsigned *others)
{
    int is_plain = (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    unsigned code = is_plain ? byte : 256 + (*others)++;
    char text[3] = {(char)code};
    if (code >= 0x80) {
        text[0] = (char)(0xc0 | code >> 6);
        text[1] = (char)(0x80 | (code & 0x3f));
    }
    tiny_text(t, text);
}

static void tiny_vocabulary(struct tiny *t)
{
    unsigned others = 0;
    tiny_key_text(t, "tokenizer.ggml.model", "gpt2");
    tiny_key_text(t, "tokenizer.ggml.pre", "gpt-2");
    tiny_key_array(t, "tokenizer.ggml.tokens", TINY_STRING, TINY_TOKENS);
    for (unsigned b = 0; b < 256; b++) tiny_byte(t, b, &others);
    tiny_text(t, "<s>");
    tiny_text(t, "</s>");
    tiny_key_array(t, "tokenizer.ggml.token_type", TINY_I32, TINY_TOKENS);
    for (unsigned b = 0; b < TINY_TOKENS; b++) tiny_u32(t, b < 256 ? 1 : 3);
    tiny_key_array(t, "tokenizer.ggml.merges", TINY_STRING, 1);
    tiny_text(t, "z z");
    tiny_key_u32(t, "tokenizer.ggml.bos_token_id", 256);
    tiny_key_u32(t, "tokenizer.ggml.eos_token_id", 257);
}

static void tiny_keys(struct tiny *t)
{
    tiny_key_text(t, "general.architecture", "llama");
    tiny_key_u32(t, "llama.context_length", 512);
    tiny_key_u32(t, "llama.embedding_length", TINY_WIDTH);
    tiny_key_u32(t, "llama.block_count", TINY_LAYERS);
    tiny_key_u32(t, "llama.feed_forward_length", TINY_INNER);
    tiny_key_u32(t, "llama.attention.head_count", 4);
    tiny_key_u32(t, "llama.attention.head_count_kv", 4);
    tiny_key_u32(t, "llama.rope.dimension_count", TINY_WIDTH / 4);
    tiny_key_f32(t, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    tiny_vocabulary(t);
}

static uint64_t tiny_aligned(uint64_t bytes)
{
    return (bytes + TINY_ALIGN - 1) / TINY_ALIGN * TINY_ALIGN;
}

/* In the table where `is_data` is 0; else its values. rows 0: a vector of ones. */
static void tiny_tensor(struct tiny *t, int is_data, const char *name, uint64_t columns,
                        uint64_t rows)
{
    uint64_t values = columns * (rows ? rows : 1);
    t->tensors += !is_data;
    if (!is_data) {
        tiny_text(t, name);
        tiny_u32(t, rows ? 2 : 1);
        tiny_u64(t, columns);
        if (rows) tiny_u64(t, rows);
        tiny_u32(t, 0); /* f32 */
        tiny_u64(t, t->at);
        t->at += tiny_aligned(values * sizeof(float));
        return;
    }
    for (uint64_t i = 0; i < values; i++) {
        t->seed = t->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        float x = rows ? (float)((double)(t->seed >> 11) * 0x1p-53 - 0.5) * 0.6f : 1;
        tiny_put(t, &x, sizeof x);
    }
    for (uint64_t i = values * sizeof(float); i < tiny_aligned(values * sizeof(float)); i++)
        tiny_put(t, "", 1);
}

static void tiny_tensors(struct tiny *t, int is_data)
{
    static const struct {
        const char *name;
        uint64_t columns, rows;
    } layer[] = {{"attn_norm", TINY_WIDTH, 0},
                 {"attn_q", TINY_WIDTH, TINY_WIDTH},
                 {"attn_k", TINY_WIDTH, TINY_WIDTH},
                 {"attn_v", TINY_WIDTH, TINY_WIDTH},
                 {"attn_output", TINY_WIDTH, TINY_WIDTH},
                 {"ffn_norm", TINY_WIDTH, 0},
                 {"ffn_gate", TINY_WIDTH, TINY_INNER},
                 {"ffn_up", TINY_WIDTH, TINY_INNER},
                 {"ffn_down", TINY_INNER, TINY_WIDTH}};
    tiny_tensor(t, is_data, "token_embd.weight", TINY_WIDTH, TINY_TOKENS);
    for (int i = 0; i < TINY_LAYERS; i++)
        for (size_t j = 0; j < sizeof layer / sizeof *layer; j++) {
            char name[64];
            snprintf(name, sizeof name, "blk.%d.%s.weight", i, layer[j].name);
            tiny_tensor(t, is_data, name, layer[j].columns, layer[j].rows);
        }
    tiny_tensor(t, is_data, "output_norm.weight", TINY_WIDTH, 0);
}

/* Returns 0; -1 where the file cannot be written. */
static int tiny_model_write(const char *path)
{
    struct tiny count = {0}, t = {.file = fopen(path, "wb"), .seed = 1};
    if (!t.file) return -1;
    tiny_keys(&count);
    tiny_tensors(&count, 0);
    tiny_put(&t, "GGUF", 4);
    tiny_u32(&t, 3);
    tiny_u64(&t, count.tensors);
    tiny_u64(&t, count.keys);
    tiny_keys(&t);
    tiny_tensors(&t, 0);
    while (ftell(t.file) % TINY_ALIGN) tiny_put(&t, "", 1);
    tiny_tensors(&t, 1);
    return fclose(t.file);
}

#endif
