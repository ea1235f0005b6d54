/* What engine/llama_block.c asks of ggml. The preloaded library links none. */
#include <ggml.h>
#include <string.h>

bool ggml_are_same_shape(const struct ggml_tensor *a, const struct ggml_tensor *b)
{
    return memcmp(a->ne, b->ne, sizeof a->ne) == 0;
}
