#include "cli/preparation.h"

#include "base/err.h"
#include "cli/progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

static void line(const char *what, const char *text)
{
    printf("  %-34s %s\n", what, text);
}

static void bytes_line(const char *what, uint64_t bytes)
{
    char text[32];
    progress_bytes((double)bytes, text, sizeof text);
    line(what, text);
}

/* The disk of the cache, or of the nearest folder above it that is there. */
static uint64_t free_bytes(char *cache)
{
    struct statvfs disk;
    while (statvfs(cache, &disk) != 0) {
        char *slash = strrchr(cache, '/');
        if (!slash || slash == cache) return UINT64_MAX;
        *slash = '\0';
    }
    return (uint64_t)disk.f_bavail * disk.f_frsize;
}

static void warn_of_room(const struct engine_forecast *f)
{
    char cache[CONFIG_PATH_BYTES], room[32], need[32];
    if (config_cache_dir(cache) != ERR_OK) return;
    uint64_t bytes = free_bytes(cache);
    if (bytes >= f->disk_bytes) return;
    progress_bytes((double)bytes, room, sizeof room);
    progress_bytes((double)f->disk_bytes, need, sizeof need);
    printf(
        "\nWARNING: the disk of %s has room for %s, and preparing the model takes %s; HINT: make "
        "room, set XDG_CACHE_HOME, or set capture.exact_model: true\n",
        cache, room, need);
}

void preparation_print(const struct engine_forecast *f)
{
    char text[160];
    if (f->layers == 0) return;
    printf("\nThe model is prepared first, once%s:\n\n",
           f->is_ready ? "; it is there already" : "");
    snprintf(text, sizeof text, "%d of %d%s", f->layers_kept, f->layers,
             f->layers_kept < f->layers && !f->is_ready
                 ? ", if the proof holds that it computes the same; else all"
                 : "");
    line("layers", text);
    line("type of its weights", f->precision);
    bytes_line("prepared model on disk", f->prepared_bytes);
    if (f->is_ready) return;
    bytes_line("disk for proof and preparing, most", f->disk_bytes);
    bytes_line("memory for the proof, at most about", f->memory_bytes);
    bytes_line("files mapped meanwhile", f->mapped_bytes);
    warn_of_room(f);
}
