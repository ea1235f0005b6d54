/* llama.cpp made quiet: nothing on the terminal, its errors kept for our own messages. */
#ifndef SLUICE_ENGINE_LLAMA_QUIET_H
#define SLUICE_ENGINE_LLAMA_QUIET_H

/* Start llama.cpp once for the process and take over its log. Any thread, any number of times. */
void llama_quiet_start(void);

/* Forget what was kept. */
void llama_quiet_clear(void);

/* The first error that llama.cpp logged since llama_quiet_clear(), one line, "" where there was
 * none. Valid until the next call in this file. Call from the thread that called llama.cpp. */
const char *llama_quiet_error(void);

#endif
