#include "engine/llama_room.h"

#include "base/err.h"
#include "base/limits.h"

#include <sys/stat.h>

enum { BESIDE_BYTES = 128 << 20, MOST_THREADS = 32 }; /* tensors' heads, vocabulary, a graph */

int llama_room_check(const char *path, uint32_t threads)
{
    struct stat st;
    if (stat(path, &st) != 0) return ERR_OK; /* the loader tells that better */
    int result = limits_mapping((uint64_t)st.st_size + BESIDE_BYTES, path);
    if (result == ERR_OK) result = limits_memory(BESIDE_BYTES, "llama.cpp");
    if (result == ERR_OK)
        result = limits_threads(threads < MOST_THREADS ? threads : MOST_THREADS, "llama.cpp");
    return result;
}
