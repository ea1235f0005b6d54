/* The model files that the program has loaded, and which model is whose. Knows no llama.cpp. */
#ifndef SLUICE_TAP_MODELS_H
#define SLUICE_TAP_MODELS_H

#include <stddef.h>
#include <stdint.h>

/* A model was just loaded from a file. Reads some of it (base/model_file.h): another may take its place
 * later. */
void models_note(const void *model, const char *path);
/* It was freed. */
void models_forget(const void *model);
/* Its file, absolute; "" where it is not known. Returns what told it from other models when it was
 * loaded; 0: not known. */
uint64_t models_file(const void *model, char *path, size_t bytes);

#endif
