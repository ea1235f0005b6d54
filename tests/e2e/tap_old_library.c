/*
 * A libllama that the tap does not know: the real one behind it does the work. TAP_HOST_ODD: of a
 * version that it knows, with structs that are laid out otherwise.
 */
#include <dlfcn.h>
#include <llama.h>
#include <stdlib.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

const char *llama_version(void)
{
    return getenv("TAP_HOST_ODD") ? "0.5.9" : "99.1";
}

struct llama_context_params llama_context_default_params(void)
{
    struct llama_context_params params = REAL(llama_context_default_params)();
    if (getenv("TAP_HOST_ODD")) params.n_ubatch = 0; /* as where another field stands there */
    return params;
}

struct llama_model *llama_model_load_from_file(const char *path, struct llama_model_params params)
{
    return REAL(llama_model_load_from_file)(path, params);
}
