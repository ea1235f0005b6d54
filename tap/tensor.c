#include "tap/tensor.h"

#include "base/row.h"

#include <string.h>

int64_t tensor_count(const struct ggml_tensor *t)
{
    return t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3];
}

static int is_contiguous(const struct ggml_tensor *t)
{
    size_t stride = sizeof(float);
    for (int i = 0; i < GGML_MAX_DIMS; i++) {
        if (t->ne[i] != 1 && t->nb[i] != stride) return 0;
        stride *= (size_t)t->ne[i];
    }
    return 1;
}

uint32_t tensor_width(const struct ggml_tensor *t, uint32_t n)
{
    int64_t width = 0;
    if (t->type != GGML_TYPE_F32 || !is_contiguous(t)) return 0;
    if (t->ne[1] == n && t->ne[2] == 1 && t->ne[3] == 1) width = t->ne[0];
    if (t->ne[1] != n && t->ne[2] == n && t->ne[3] == 1) width = t->ne[0] * t->ne[1];
    return width > 0 && width <= ROW_MAX_WIDTH ? (uint32_t)width : 0;
}

int tensor_is_rows(const struct ggml_tensor *t, uint32_t n, uint32_t width)
{
    return t->type == GGML_TYPE_F32 && is_contiguous(t) && tensor_count(t) == (int64_t)n * width;
}

int tensor_is_input(const struct ggml_tensor *t, const char *name)
{
    if (!t || t->type != GGML_TYPE_I32) return 0;
    const char *at = strstr(t->name, name);
    /* A copy is called BACKEND#name#N. */
    return at && (at == t->name ? !at[strlen(name)] : at[-1] == '#');
}

int tensor_is_positions(const struct ggml_tensor *node, uint32_t n)
{
    const struct ggml_tensor *t = node->src[1];
    if (!t || t->type != GGML_TYPE_I32 || tensor_count(t) % n != 0) return 0;
    return node->op == GGML_OP_ROPE ||
           (node->op == GGML_OP_GET_ROWS && tensor_is_input(t, "inp_pos"));
}

int tensor_is_here(const struct library *library, const struct ggml_tensor *t)
{
    const struct ggml_tensor *owner = t->view_src ? t->view_src : t;
    return owner->buffer && t->data && library->ggml_backend_buffer_is_host(owner->buffer);
}

void tensor_read(const struct library *library, const struct ggml_tensor *t, void *to, size_t bytes)
{
    if (tensor_is_here(library, t))
        memcpy(to, t->data, bytes);
    else
        library->ggml_backend_tensor_get(t, to, 0, bytes);
}
