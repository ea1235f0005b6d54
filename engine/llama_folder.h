/*
 * The folder that keeps prepared models, with a byte cap, and what the machine has room for.
 */
#ifndef SLUICE_ENGINE_LLAMA_FOLDER_H
#define SLUICE_ENGINE_LLAMA_FOLDER_H

#include <stdint.h>

/* Memory that can be had without swapping; 0 where the system does not say. */
uint64_t llama_folder_memory_bytes(void);
/* Free bytes of the disk that a folder lies on; 0 where it does not say. */
uint64_t llama_folder_disk_bytes(const char *folder);

/* One process prepares at a time; others wait here (half an hour at most: ERR_EXISTS) and then find
 * it done. Closing *fd gives the folder back. ERR_IO. */
int llama_folder_lock(const char *folder, int *fd);

/* Remove the least recently used models until `bytes` more stay below the cap and fit on the disk,
 * and what makers who died left half-made. Files that a process has mapped stay readable for it.
 * Only with the lock. ERR_NOSPC, ERR_IO, ERR_NOMEM. */
int llama_folder_make_room(const char *folder, uint64_t bytes, uint64_t limit_bytes);

/* A file that is whole gets its name, safe from a power cut. ERR_NOSPC, ERR_IO. */
int llama_folder_keep(const char *from, const char *to);

#endif
