/* Whether llama.cpp will find room: it asserts, and its threads' library exits, where it does
 * not. */
#ifndef SLUICE_ENGINE_LLAMA_ROOM_H
#define SLUICE_ENGINE_LLAMA_ROOM_H

#include <stdint.h>

/* Address space for the file of a model and what comes beside it, and `threads` threads. ERR_NOMEM:
 * the text names the limit. */
int llama_room_check(const char *path, uint32_t threads);

#endif
