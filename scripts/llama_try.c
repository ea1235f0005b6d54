// Loads llama.cpp's libraries and lets them work a little, so that a build for another kind of CPU
// dies here, in `make deps`, and not in the middle of a run.
#include <ggml-backend.h>
#include <ggml-cpu.h>
#include <ggml.h>
#include <llama.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

// The product of two matrices of ones, (n, n) each, must be n everywhere.
static int product_is_right(enum ggml_type type)
{
    enum { n = 256 };
    struct ggml_init_params params = {.mem_size = 16 << 20};
    struct ggml_context *ctx = ggml_init(params);
    if (!ctx) return 0;
    struct ggml_tensor *a = ggml_new_tensor_2d(ctx, type, n, n);
    struct ggml_tensor *b = ggml_new_tensor_2d(ctx, GGML_TYPE_F32, n, n);
    float ones[n];
    for (int i = 0; i < n; i++) ones[i] = 1.0f;
    for (int row = 0; row < n; row++) {
        ggml_quantize_chunk(type, ones, (char *)a->data + (size_t)row * a->nb[1], 0, 1, n, NULL);
        for (int i = 0; i < n; i++) ((float *)b->data)[row * n + i] = 1.0f;
    }
    struct ggml_tensor *c = ggml_mul_mat(ctx, a, b);
    struct ggml_cgraph *graph = ggml_new_graph(ctx);
    ggml_build_forward_expand(graph, c);
    int ok = ggml_graph_compute_with_ctx(ctx, graph, 2) == GGML_STATUS_SUCCESS;
    for (int i = 0; ok && i < n * n; i++) ok = fabsf(((float *)c->data)[i] - n) < 0.02f * n;
    ggml_free(ctx);
    return ok;
}

int main(void)
{
    static const enum ggml_type types[] = {GGML_TYPE_F32, GGML_TYPE_BF16, GGML_TYPE_Q8_0,
                                           GGML_TYPE_Q4_1};
    llama_backend_init();
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
        if (product_is_right(types[i])) continue;
        fprintf(stderr, "wrong product in %s\n", ggml_type_name(types[i]));
        return 1;
    }
    puts(llama_print_system_info());
    llama_backend_free();
    return 0;
}
