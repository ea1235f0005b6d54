#include "engine/llama_control.h"

#include "base/err.h"
#include "engine/llama_runner.h"

#include <ggml.h>
#include <gguf.h>
#include <llama.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int llama_control_layer(const struct llama_hooks *hooks, uint32_t hook, int32_t *layer)
{
    const char *name = hooks->hook[hook].name, *node = hooks->hook[hook].node;
    if (hooks->hook[hook].point != POINT_NODE || strncmp(node, "l_out-", 6) != 0)
        return err_set(ERR_USAGE,
                       "a control vector cannot steer %s: llama.cpp adds it to the residual stream "
                       "behind a layer alone; HINT: an autoencoder of resid_post.N",
                       name);
    *layer = hooks->hook[hook].layer;
    if (*layer >= 1) return ERR_OK;
    return err_set(ERR_USAGE,
                   "a control vector cannot steer %s: llama.cpp's begin behind layer 1; HINT: an "
                   "autoencoder of resid_post.1 or above",
                   name);
}

static int add_direction(struct gguf_context *gguf, struct ggml_context *ggml,
                         const struct llama_control *control, uint32_t width)
{
    char name[64];
    struct ggml_tensor *t = ggml_new_tensor_1d(ggml, GGML_TYPE_F32, width);
    if (!t) return err_set(ERR_NOMEM, "no memory for a control vector");
    snprintf(name, sizeof name, "direction.%d", control->layer);
    ggml_set_name(t, name);
    memcpy(ggml_get_data_f32(t), control->direction, width * sizeof(float));
    gguf_add_tensor(gguf, t);
    return ERR_OK;
}

static int write_out(const struct gguf_context *gguf, char **data, size_t *bytes)
{
    FILE *out = open_memstream(data, bytes);
    if (!out) return err_set(ERR_NOMEM, "no memory for a control vector");
    int is_written = gguf_write_to_file_ptr(gguf, out, false);
    if (fclose(out) != 0) is_written = 0;
    if (is_written) return ERR_OK;
    free(*data);
    return err_set(ERR_NOMEM, "no memory for a control vector");
}

int llama_control_make(const struct llama_runner *runner, const struct llama_control *control,
                       uint32_t count, uint32_t width, char **data, size_t *bytes)
{
    char architecture[64] = "";
    struct ggml_init_params memory = {
        .mem_size = count * (ggml_tensor_overhead() + (size_t)width * sizeof(float) + 64) + 1024};
    struct gguf_context *gguf = gguf_init_empty();
    struct ggml_context *ggml = ggml_init(memory);
    int result = gguf && ggml ? ERR_OK : err_set(ERR_NOMEM, "no memory for a control vector");
    llama_model_meta_val_str(llama_runner_model(runner), "general.architecture", architecture,
                             sizeof architecture);
    if (result == ERR_OK) {
        gguf_set_val_str(gguf, "general.architecture", "controlvector");
        gguf_set_val_str(gguf, "controlvector.model_hint", architecture);
        gguf_set_val_i32(gguf, "controlvector.layer_count", (int32_t)count);
    }
    for (uint32_t i = 0; i < count && result == ERR_OK; i++)
        result = add_direction(gguf, ggml, &control[i], width);
    if (result == ERR_OK) result = write_out(gguf, data, bytes);
    if (ggml) ggml_free(ggml);
    if (gguf) gguf_free(gguf);
    return result;
}
