#include "sae/arena.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LINE = 64 };

/* Under the address sanitizer what lies between two arrays may not be touched. */
#if defined(__SANITIZE_ADDRESS__)
void __asan_poison_memory_region(const volatile void *at, size_t bytes);
void __asan_unpoison_memory_region(const volatile void *at, size_t bytes);
enum { GUARD_BYTES = LINE };
static void guard(char *at, size_t bytes)
{
    __asan_poison_memory_region(at, bytes);
}
static void unguard(char *at, size_t bytes)
{
    __asan_unpoison_memory_region(at, bytes);
}
#else
enum { GUARD_BYTES = 0 };
static void guard(char *at, size_t bytes)
{
    (void)at;
    (void)bytes;
}
static void unguard(char *at, size_t bytes)
{
    (void)at;
    (void)bytes;
}
#endif

void *arena_take(struct arena *arena, size_t count, size_t bytes)
{
    char *at = arena->base ? arena->base + arena->used : NULL;
    size_t taken = count * bytes, whole = (taken + LINE - 1) / LINE * LINE + GUARD_BYTES;
    arena->used += whole;
    if (at && !arena->shared) guard(at + taken, whole - taken);
    return at;
}

/* Rows of weights are fetched in any order: in pages of 4 KiB each would miss the processor's table
 * of pages. Where the kernel has none to give, they stay as they are. */
static void ask_for_huge_pages(char *block, size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), skip = page - (uintptr_t)block % page;
    if (bytes > skip) madvise(block + skip, (bytes - skip) / page * page, MADV_HUGEPAGE);
}

/* calloc() gives large blocks as pages that come when they are touched: lists that never fill take
 * none. */
int arena_open(struct arena *arena)
{
    size_t size = arena->used;
    arena->block = calloc(1, size + LINE);
    if (!arena->block) return err_set(ERR_NOMEM, "no memory for %zu bytes of an SAE", size);
    arena->base = (char *)arena->block + LINE - (uintptr_t)arena->block % LINE;
    if (!arena->shared) ask_for_huge_pages(arena->block, size);
    arena->size = size;
    arena->used = 0;
    return ERR_OK;
}

void arena_close(struct arena *arena)
{
    if (arena->block) unguard(arena->base, arena->size);
    free(arena->block);
    *arena = (struct arena){.shared = arena->shared};
}
