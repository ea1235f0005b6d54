/*
 * Models, contexts and passes of the program (wrapper.h).
 *
 * Structs that are passed by value lie on the stack. They are handed on as so many bytes, whatever
 * libllama's version makes of them, and looked at only where their layout is known (library.c).
 */
#include "tap/batches.h"
#include "tap/context.h"
#include "tap/models.h"
#include "tap/tap.h"
#include "tap/wrapper.h"

#include <stdio.h>
#include <string.h>

_Thread_local int wrapper_inside;

void wrapper_leave(const int *before)
{
    wrapper_inside = *before;
}

int wrapper_is_ours(void)
{
    return !wrapper_inside && tap_is_there();
}

/* More than any such struct takes. */
struct handed {
    uint64_t word[128];
};
_Static_assert(sizeof(struct handed) >= 2 * sizeof(struct llama_context_params), "has room");

/* ---- models ---- */

typedef struct llama_model *(*load)(const char *, struct handed);
typedef struct llama_model *(*load_splits)(const char **, size_t, struct handed);

static struct llama_model *load_with(load real, const char *path, struct handed params)
{
    int outermost = wrapper_is_ours();
    if (!real) return NULL;
    struct llama_model *model = NULL;
    {
        WRAPPER_INSIDE;
        model = real(path, params);
    }
    if (outermost) models_note(model, path);
    return model;
}

WRAPPER(struct llama_model *, llama_model_load_from_file, const char *path, struct handed params)
{
    return load_with(REAL_AS(load, llama_model_load_from_file), path, params);
}

WRAPPER(struct llama_model *, llama_load_model_from_file, const char *path, struct handed params)
{
    return load_with(REAL_AS(load, llama_load_model_from_file), path, params);
}

WRAPPER(struct llama_model *, llama_model_load_from_splits, const char **paths, size_t count,
        struct handed params)
{
    load_splits real = REAL_AS(load_splits, llama_model_load_from_splits);
    int outermost = wrapper_is_ours();
    if (!real) return NULL;
    struct llama_model *model = NULL;
    {
        WRAPPER_INSIDE;
        model = real(paths, count, params);
    }
    if (outermost && count) models_note(model, paths[0]);
    return model;
}

typedef struct llama_model *(*load_stream)(FILE *, struct handed);

WRAPPER(struct llama_model *, llama_model_load_from_file_ptr, FILE *file, struct handed params)
{
    load_stream real = REAL_AS(load_stream, llama_model_load_from_file_ptr);
    int outermost = wrapper_is_ours();
    char path[32];
    if (!real) return NULL;
    snprintf(path, sizeof path, "/proc/self/fd/%d", file ? fileno(file) : -1);
    struct llama_model *model = NULL;
    {
        WRAPPER_INSIDE;
        model = real(file, params);
    }
    if (outermost) models_note(model, path);
    return model;
}

static void free_with(void (*real)(struct llama_model *), struct llama_model *model)
{
    if (wrapper_is_ours()) {
        tap_forget_model(model);
        models_forget(model);
    }
    WRAPPER_INSIDE;
    if (real) real(model);
}

WRAPPER(void, llama_model_free, struct llama_model *model)
{
    free_with(LIBRARY_REAL(llama_model_free), model);
}

WRAPPER(void, llama_free_model, struct llama_model *model)
{
    free_with(LIBRARY_REAL(llama_model_free), model);
}

/* ---- contexts ---- */

typedef struct llama_context *(*init)(struct llama_model *, struct handed);

static struct llama_context *init_with(init real, struct llama_model *model, struct handed params)
{
    struct llama_context_params known;
    struct context *c = NULL;
    if (!real) return NULL;
    if (wrapper_is_ours()) {
        memcpy(&known, &params, sizeof known);
        c = context_prepare(model, &known);
        memcpy(&params, &known, sizeof known);
    }
    struct llama_context *llama = NULL;
    {
        WRAPPER_INSIDE;
        llama = real(model, params);
    }
    if (c) context_settle(c, llama);
    return llama;
}

WRAPPER(struct llama_context *, llama_init_from_model, struct llama_model *model,
        struct handed params)
{
    return init_with(REAL_AS(init, llama_init_from_model), model, params);
}

WRAPPER(struct llama_context *, llama_new_context_with_model, struct llama_model *model,
        struct handed params)
{
    return init_with(REAL_AS(init, llama_new_context_with_model), model, params);
}

WRAPPER(void, llama_free, struct llama_context *llama)
{
    struct context *c = wrapper_is_ours() ? context_take_out(llama) : NULL;
    {
        WRAPPER_INSIDE;
        if (LIBRARY_REAL(llama_free)) LIBRARY_REAL(llama_free)(llama);
    }
    context_release(c);
}

WRAPPER(void, llama_set_warmup, struct llama_context *llama, bool warms)
{
    struct context *c = wrapper_is_ours() ? context_of(llama) : NULL;
    if (c) c->is_warming = warms;
    void (*real)(struct llama_context *, bool) =
        REAL_AS(void (*)(struct llama_context *, bool), llama_set_warmup);
    if (real) real(llama, warms);
}

WRAPPER(int32_t, llama_set_adapters_lora, struct llama_context *llama,
        struct llama_adapter_lora **adapters, size_t count, float *scales)
{
    if (!LIBRARY_REAL(llama_set_adapters_lora)) return -1;
    int32_t result = LIBRARY_REAL(llama_set_adapters_lora)(llama, adapters, count, scales);
    struct context *c = wrapper_is_ours() ? context_of(llama) : NULL;
    int any = 0;
    for (size_t i = 0; c && i < count; i++) any |= scales[i] != 0;
    if (c) c->has_lora = any || (result != 0 && c->has_lora);
    return result;
}

WRAPPER(int32_t, llama_set_adapter_cvec, struct llama_context *llama, const float *data,
        size_t length, int32_t width, int32_t first, int32_t last)
{
    if (!LIBRARY_REAL(llama_set_adapter_cvec)) return -1;
    int32_t result = LIBRARY_REAL(llama_set_adapter_cvec)(llama, data, length, width, first, last);
    struct context *c = wrapper_is_ours() ? context_of(llama) : NULL;
    if (c) c->has_vector = data || (result != 0 && c->has_vector);
    return result;
}

/* ---- passes ---- */

typedef int32_t (*decode)(struct llama_context *, struct handed);

/* A pass that an exception leaves has failed. */
struct pass {
    struct context *context; /* NULL: it is left alone */
    int32_t result;
};

static void end_pass(const struct pass *pass)
{
    if (pass->context) context_end(pass->context, pass->result);
}

#define PASS(context) struct pass pass __attribute__((cleanup(end_pass))) = {context, -1}

WRAPPER(int32_t, llama_decode, struct llama_context *llama, struct handed handed)
{
    decode real = REAL_AS(decode, llama_decode);
    struct context *c = wrapper_is_ours() ? context_of(llama) : NULL;
    if (!real) return -1;
    PASS(c);
    if (c) {
        struct llama_batch batch;
        memcpy(&batch, &handed, sizeof batch);
        context_begin(c, &batch);
    }
    WRAPPER_INSIDE;
    return pass.result = real(llama, handed);
}

WRAPPER(int32_t, llama_process, struct llama_context *llama, enum llama_process_type type,
        struct llama_batch_ext *batch)
{
    struct context *c =
        wrapper_is_ours() && type == LLAMA_PROCESS_TYPE_DECODE ? context_of(llama) : NULL;
    if (!LIBRARY_REAL(llama_process)) return -1;
    PASS(c);
    if (c) context_begin_large(c, batches_find(batch));
    WRAPPER_INSIDE;
    return pass.result = LIBRARY_REAL(llama_process)(llama, type, batch);
}
