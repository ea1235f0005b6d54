/* The model files that the program has loaded, and which model is whose. Knows no llama.cpp. */
#ifndef SLUICE_TAP_MODELS_H
#define SLUICE_TAP_MODELS_H

#include <stddef.h>

/* A model was loaded from a file. */
void models_note(const void *model, const char *path);
/* It was freed. */
void models_forget(const void *model);
/* Its file, absolute; "" where it is not known. */
void models_file(const void *model, char *path, size_t bytes);

#endif
