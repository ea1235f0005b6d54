/*
 * Tiny random models of several architectures as GGUF files, made anew by each test: the shapes
 * that llama.cpp asks for, weights out of a seeded generator, a vocabulary of one token a byte.
 */
#ifndef SLUICE_TESTS_TINY_MODELS_H
#define SLUICE_TESTS_TINY_MODELS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <ggml.h>
#include <gguf.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"

enum {
    TINY_WIDTH = 32, /* of the residual stream */
    TINY_INNER = 64, /* of an MLP */
    TINY_HEADS = 4,
    TINY_CONTEXT = 512,
    TINY_BYTES = 256,  /* tokens 0 to 255 are the bytes, in GPT-2's order */
    TINY_MERGED = 256, /* "th" */
    TINY_BOS = 257,    /* <s> */
    TINY_EOS = 258,    /* </s> */
    TINY_TOKENS = 259,
    TINY_LAYERS_MOST = 64,
};

/* What the file says of its special tokens and of its tokenizer. */
enum tiny_vocabulary {
    TINY_DECLARED,     /* BOS, EOS; contexts begin with BOS */
    TINY_UNDECLARED,   /* neither, and no control tokens */
    TINY_NO_TOKENIZER, /* none at all */
    TINY_BOS_BEYOND,   /* a BOS that the vocabulary does not have */
};

struct tiny {
    const char *architecture;
    int layers;
    int head_width; /* 0: width / heads */
    int inner;      /* 0: TINY_INNER */
    enum tiny_vocabulary vocabulary;
    int kv_array;       /* key/value heads as an array, one number for each layer */
    int not_causal;     /* attention.causal is false */
    const char *change; /* a key that is set to change_to at the end; NULL: none */
    uint32_t change_to;
    uint64_t seed;
};

struct tiny_writer {
    const struct tiny *t;
    struct gguf_context *gguf;
    struct ggml_context *ggml;
    struct rng rng;
};

static int tiny_inner(const struct tiny_writer *w)
{
    return w->t->inner ? w->t->inner : TINY_INNER;
}

static int tiny_is(const struct tiny_writer *w, const char *architecture)
{
    return strcmp(w->t->architecture, architecture) == 0;
}

/* ---- keys ---- */

static const char *tiny_key(const struct tiny_writer *w, const char *name)
{
    static char key[128];
    snprintf(key, sizeof key, "%s.%s", w->t->architecture, name);
    return key;
}

static void tiny_u32(struct tiny_writer *w, const char *name, uint32_t value)
{
    gguf_set_val_u32(w->gguf, tiny_key(w, name), value);
}

static void tiny_f32(struct tiny_writer *w, const char *name, float value)
{
    gguf_set_val_f32(w->gguf, tiny_key(w, name), value);
}

static int tiny_head_width(const struct tiny_writer *w)
{
    return w->t->head_width ? w->t->head_width : TINY_WIDTH / TINY_HEADS;
}

/* Which layers of lfm2 attend; the others are convolutions. */
static int tiny_attends(const struct tiny_writer *w, int layer)
{
    return !tiny_is(w, "lfm2") || layer % 2 == 0;
}

static void tiny_layers_array(struct tiny_writer *w, const char *name, uint32_t on, uint32_t off)
{
    uint32_t values[TINY_LAYERS_MOST];
    for (int i = 0; i < w->t->layers; i++) values[i] = tiny_attends(w, i) ? on : off;
    gguf_set_arr_data(w->gguf, tiny_key(w, name), GGUF_TYPE_UINT32, values, (size_t)w->t->layers);
}

static void tiny_gemma4_keys(struct tiny_writer *w)
{
    uint8_t windowed[TINY_LAYERS_MOST];
    for (int i = 0; i < w->t->layers; i++) windowed[i] = i % 3 != 2;
    gguf_set_arr_data(w->gguf, tiny_key(w, "attention.sliding_window_pattern"), GGUF_TYPE_BOOL,
                      windowed, (size_t)w->t->layers);
    tiny_u32(w, "attention.sliding_window", 16);
    tiny_u32(w, "attention.key_length_swa", (uint32_t)tiny_head_width(w));
    tiny_u32(w, "attention.value_length_swa", (uint32_t)tiny_head_width(w));
    tiny_u32(w, "embedding_length_per_layer_input", 0);
    tiny_u32(w, "attention.shared_kv_layers", 0);
    tiny_u32(w, "rope.dimension_count_swa", (uint32_t)tiny_head_width(w));
    tiny_f32(w, "rope.freq_base_swa", 10000);
}

static void tiny_keys(struct tiny_writer *w)
{
    gguf_set_val_str(w->gguf, "general.architecture", w->t->architecture);
    tiny_u32(w, "context_length", TINY_CONTEXT);
    tiny_u32(w, "embedding_length", TINY_WIDTH);
    tiny_u32(w, "block_count", (uint32_t)w->t->layers);
    tiny_u32(w, "feed_forward_length", (uint32_t)tiny_inner(w));
    tiny_u32(w, "attention.head_count", TINY_HEADS);
    tiny_u32(w, "rope.dimension_count",
             (uint32_t)(tiny_is(w, "minicpm3") ? 4 : tiny_head_width(w)));
    tiny_u32(w, "attention.key_length", (uint32_t)tiny_head_width(w));
    tiny_u32(w, "attention.value_length", (uint32_t)tiny_head_width(w));
    tiny_f32(w, "attention.layer_norm_rms_epsilon", 1e-5f);
    tiny_f32(w, "attention.layer_norm_epsilon", 1e-5f);
    if (w->t->kv_array || tiny_is(w, "lfm2") || tiny_is(w, "gemma4"))
        tiny_layers_array(w, "attention.head_count_kv", TINY_HEADS, 0);
    else
        tiny_u32(w, "attention.head_count_kv", TINY_HEADS);
    if (tiny_is(w, "minicpm3")) {
        tiny_u32(w, "attention.q_lora_rank", 8);
        tiny_u32(w, "attention.kv_lora_rank", 8);
    }
    if (tiny_is(w, "exaone4")) tiny_u32(w, "attention.sliding_window", 8);
    if (tiny_is(w, "lfm2")) tiny_u32(w, "shortconv.l_cache", 3);
    if (tiny_is(w, "gemma4")) tiny_gemma4_keys(w);
    if (tiny_is(w, "gptneox"))
        gguf_set_val_bool(w->gguf, tiny_key(w, "use_parallel_residual"), true);
}

/* GPT-2's letters for bytes: printable ones stand for themselves, the others for U+0100 and on. */
static void tiny_vocabulary(struct tiny_writer *w)
{
    static char text[TINY_TOKENS][8];
    const char *tokens[TINY_TOKENS], *merges[] = {"t h"};
    int32_t types[TINY_TOKENS];
    int token = 0;
    for (int pass = 0, extra = 0; pass < 2; pass++)
        for (int byte = 0; byte < 256; byte++) {
            int printable = (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte != 0xad);
            if (printable == pass) continue;
            int letter = printable ? byte : 256 + extra++;
            if (letter < 0x80)
                snprintf(text[token++], 8, "%c", letter);
            else
                snprintf(text[token++], 8, "%c%c", 0xc0 | letter >> 6, 0x80 | (letter & 0x3f));
        }
    strcpy(text[TINY_MERGED], "th");
    strcpy(text[TINY_BOS], w->t->vocabulary == TINY_UNDECLARED ? "qz" : "<s>");
    strcpy(text[TINY_EOS], w->t->vocabulary == TINY_UNDECLARED ? "zq" : "</s>");
    for (int i = 0; i < TINY_TOKENS; i++) {
        tokens[i] = text[i];
        types[i] = i >= TINY_BOS && w->t->vocabulary != TINY_UNDECLARED ? 3 : 1; /* control */
    }
    gguf_set_val_str(w->gguf, "tokenizer.ggml.model", "gpt2");
    gguf_set_val_str(w->gguf, "tokenizer.ggml.pre", "gpt-2");
    gguf_set_arr_str(w->gguf, "tokenizer.ggml.tokens", tokens, TINY_TOKENS);
    gguf_set_arr_data(w->gguf, "tokenizer.ggml.token_type", GGUF_TYPE_INT32, types, TINY_TOKENS);
    gguf_set_arr_str(w->gguf, "tokenizer.ggml.merges", merges, 1);
    if (w->t->vocabulary == TINY_UNDECLARED) return;
    uint32_t bos = w->t->vocabulary == TINY_BOS_BEYOND ? 100000 : TINY_BOS;
    gguf_set_val_u32(w->gguf, "tokenizer.ggml.bos_token_id", bos);
    gguf_set_val_u32(w->gguf, "tokenizer.ggml.eos_token_id", TINY_EOS);
    gguf_set_val_bool(w->gguf, "tokenizer.ggml.add_bos_token", true);
}

/* ---- weights ---- */

/* A sum of uniform numbers: near enough to normal. */
static double tiny_normal(struct tiny_writer *w)
{
    double sum = 0;
    for (int i = 0; i < 12; i++) sum += (double)rng_below(&w->rng, 1 << 20) / (1 << 20);
    return sum - 6;
}

static float *tiny_tensor(struct tiny_writer *w, const char *name, int64_t in, int64_t out)
{
    struct ggml_tensor *t = out ? ggml_new_tensor_2d(w->ggml, GGML_TYPE_F32, in, out)
                                : ggml_new_tensor_1d(w->ggml, GGML_TYPE_F32, in);
    assert_non_null(t);
    ggml_set_name(t, name);
    gguf_add_tensor(w->gguf, t);
    return (float *)t->data;
}

static const char *tiny_layer_name(int layer, const char *name)
{
    static char full[64];
    if (layer < 0)
        snprintf(full, sizeof full, "%s", name);
    else
        snprintf(full, sizeof full, "blk.%d.%s", layer, name);
    return full;
}

static void tiny_matrix(struct tiny_writer *w, int layer, const char *name, int in, int out)
{
    float *x = tiny_tensor(w, tiny_layer_name(layer, name), in, out);
    double deviation = layer < 0 ? 1 : 1 / sqrt(in);
    for (int i = 0; i < in * out; i++) x[i] = (float)(deviation * tiny_normal(w));
}

static void tiny_norm(struct tiny_writer *w, int layer, const char *name, int width)
{
    float *x = tiny_tensor(w, tiny_layer_name(layer, name), width, 0);
    for (int i = 0; i < width; i++) x[i] = (float)(1 + 0.1 * tiny_normal(w));
}

static void tiny_bias(struct tiny_writer *w, int layer, const char *name, int width)
{
    float *x = tiny_tensor(w, tiny_layer_name(layer, name), width, 0);
    for (int i = 0; i < width; i++) x[i] = (float)(0.1 * tiny_normal(w));
}

static void tiny_low_rank_attention(struct tiny_writer *w, int layer)
{
    int head = tiny_head_width(w), rope = 4;
    tiny_norm(w, layer, "attn_norm.weight", TINY_WIDTH);
    tiny_norm(w, layer, "attn_q_a_norm.weight", 8);
    tiny_norm(w, layer, "attn_kv_a_norm.weight", 8);
    tiny_matrix(w, layer, "attn_q_a.weight", TINY_WIDTH, 8);
    tiny_matrix(w, layer, "attn_q_b.weight", 8, TINY_HEADS * head);
    tiny_matrix(w, layer, "attn_kv_a_mqa.weight", TINY_WIDTH, 8 + rope);
    tiny_matrix(w, layer, "attn_kv_b.weight", 8, TINY_HEADS * (head - rope + head));
    tiny_matrix(w, layer, "attn_output.weight", TINY_HEADS * head, TINY_WIDTH);
}

static void tiny_attention(struct tiny_writer *w, int layer)
{
    int head = tiny_head_width(w), all = TINY_HEADS * head;
    int gemma = tiny_is(w, "gemma2") || tiny_is(w, "gemma3") || tiny_is(w, "gemma4");
    if (!tiny_is(w, "exaone4")) tiny_norm(w, layer, "attn_norm.weight", TINY_WIDTH);
    tiny_matrix(w, layer, "attn_q.weight", TINY_WIDTH, all);
    tiny_matrix(w, layer, "attn_k.weight", TINY_WIDTH, all);
    tiny_matrix(w, layer, "attn_v.weight", TINY_WIDTH, all);
    tiny_matrix(w, layer, "attn_output.weight", all, TINY_WIDTH);
    if ((gemma && !tiny_is(w, "gemma2")) || tiny_is(w, "exaone4") || tiny_is(w, "lfm2")) {
        tiny_norm(w, layer, "attn_q_norm.weight", head);
        tiny_norm(w, layer, "attn_k_norm.weight", head);
    }
    if (gemma || tiny_is(w, "exaone4")) {
        tiny_norm(w, layer, "post_attention_norm.weight", TINY_WIDTH);
        tiny_norm(w, layer, "post_ffw_norm.weight", TINY_WIDTH);
    }
}

static void tiny_convolution(struct tiny_writer *w, int layer)
{
    tiny_norm(w, layer, "attn_norm.weight", TINY_WIDTH);
    tiny_matrix(w, layer, "shortconv.conv.weight", 3, TINY_WIDTH);
    tiny_matrix(w, layer, "shortconv.in_proj.weight", TINY_WIDTH, 3 * TINY_WIDTH);
    tiny_matrix(w, layer, "shortconv.out_proj.weight", TINY_WIDTH, TINY_WIDTH);
}

/* Attention and MLP side by side, with biases. */
static void tiny_gptneox_layer(struct tiny_writer *w, int layer)
{
    tiny_norm(w, layer, "attn_norm.weight", TINY_WIDTH);
    tiny_bias(w, layer, "attn_norm.bias", TINY_WIDTH);
    tiny_matrix(w, layer, "attn_qkv.weight", TINY_WIDTH, 3 * TINY_WIDTH);
    tiny_bias(w, layer, "attn_qkv.bias", 3 * TINY_WIDTH);
    tiny_matrix(w, layer, "attn_output.weight", TINY_WIDTH, TINY_WIDTH);
    tiny_bias(w, layer, "attn_output.bias", TINY_WIDTH);
    tiny_norm(w, layer, "ffn_norm.weight", TINY_WIDTH);
    tiny_bias(w, layer, "ffn_norm.bias", TINY_WIDTH);
    tiny_matrix(w, layer, "ffn_up.weight", TINY_WIDTH, tiny_inner(w));
    tiny_bias(w, layer, "ffn_up.bias", tiny_inner(w));
    tiny_matrix(w, layer, "ffn_down.weight", tiny_inner(w), TINY_WIDTH);
    tiny_bias(w, layer, "ffn_down.bias", TINY_WIDTH);
}

static void tiny_layer(struct tiny_writer *w, int layer)
{
    if (tiny_is(w, "gptneox")) {
        tiny_gptneox_layer(w, layer);
        return;
    }
    if (tiny_is(w, "minicpm3"))
        tiny_low_rank_attention(w, layer);
    else if (tiny_attends(w, layer))
        tiny_attention(w, layer);
    else
        tiny_convolution(w, layer);
    if (!tiny_is(w, "exaone4")) tiny_norm(w, layer, "ffn_norm.weight", TINY_WIDTH);
    tiny_matrix(w, layer, "ffn_gate.weight", TINY_WIDTH, tiny_inner(w));
    tiny_matrix(w, layer, "ffn_up.weight", TINY_WIDTH, tiny_inner(w));
    tiny_matrix(w, layer, "ffn_down.weight", tiny_inner(w), TINY_WIDTH);
}

static void tiny_weights(struct tiny_writer *w)
{
    tiny_matrix(w, -1, "token_embd.weight", TINY_WIDTH, TINY_TOKENS);
    for (int i = 0; i < w->t->layers; i++) tiny_layer(w, i);
    tiny_norm(w, -1, tiny_is(w, "lfm2") ? "token_embd_norm.weight" : "output_norm.weight",
              TINY_WIDTH);
    if (tiny_is(w, "gemma4")) tiny_norm(w, -1, "rope_freqs.weight", tiny_head_width(w) / 2);
    if (tiny_is(w, "gptneox")) {
        tiny_bias(w, -1, "output_norm.bias", TINY_WIDTH);
        tiny_matrix(w, -1, "output.weight", TINY_WIDTH, TINY_TOKENS);
    }
}

/* Write the model to `path`. */
static void tiny_write(const char *path, const struct tiny *t)
{
    struct ggml_init_params memory = {
        .mem_size = ((size_t)32 << 20) + (size_t)t->inner * TINY_WIDTH * 4 * 3 * (size_t)t->layers};
    struct tiny_writer w = {.t = t, .gguf = gguf_init_empty(), .ggml = ggml_init(memory)};
    assert_true(w.gguf && w.ggml);
    rng_seed(&w.rng, t->seed + 1);
    tiny_keys(&w);
    if (t->vocabulary == TINY_NO_TOKENIZER) {
        gguf_set_val_str(w.gguf, "tokenizer.ggml.model", "no_vocab");
        tiny_u32(&w, "vocab_size", TINY_TOKENS);
    } else {
        tiny_vocabulary(&w);
    }
    if (t->not_causal) gguf_set_val_bool(w.gguf, tiny_key(&w, "attention.causal"), false);
    if (t->change) gguf_set_val_u32(w.gguf, t->change, t->change_to);
    tiny_weights(&w);
    assert_true(gguf_write_to_file(w.gguf, path, false));
    gguf_free(w.gguf);
    ggml_free(w.ggml);
}

#endif
