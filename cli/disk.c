#include "cli/disk.h"

#include "base/err.h"
#include "wiring/processes.h"

#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

enum { PATH_SHOWN = 256 };

static const double least_bytes = 1 << 20; /* logs and small files need as much */

static int is_waiting(const struct disk_wait *wait)
{
    return wait->seconds > 0;
}

/* Otherwise it is an error that is not one of room, or room that nobody has tried yet. */
static int is_full(const struct disk_wait *wait)
{
    double needed = wait->needed_bytes > least_bytes ? wait->needed_bytes : least_bytes;
    return wait->free_bytes < needed;
}

/* The end of a folder's path: the words after it matter more than its beginning. */
static const char *short_path(const char *dir, char out[PATH_SHOWN])
{
    size_t length = strlen(dir);
    if (length < PATH_SHOWN) return dir;
    snprintf(out, PATH_SHOWN, "...%s", dir + length - (PATH_SHOWN - sizeof "..."));
    return out;
}

static void tell(const struct disk_wait *wait, const char *dir, const char *what, char *out,
                 size_t bytes)
{
    char needs[64] = "", shown[PATH_SHOWN];
    if (wait->needed_bytes > 0)
        snprintf(needs, sizeof needs, ", needs %.1f MB", wait->needed_bytes / 1e6);
    if (is_full(wait))
        snprintf(out, bytes, "the disk of %s is full: %.1f MB free%s; %s", short_path(dir, shown),
                 wait->free_bytes / 1e6, needs, what);
    else
        snprintf(out, bytes, "%s could not be written just now, the log of %s says why; %s",
                 short_path(dir, shown), wait->process, what);
}

/* Before anybody reports, and where a process cannot even start. */
static int look(const char *dir, char *out, size_t bytes)
{
    char shown[PATH_SHOWN];
    struct statvfs fs;
    if (statvfs(dir, &fs) != 0 || !fs.f_blocks) return 0;
    double free_bytes = (double)fs.f_bavail * (double)fs.f_frsize;
    if (free_bytes >= least_bytes) return 0;
    snprintf(out, bytes, "the disk of %s is full: %.1f MB free; logs are lost",
             short_path(dir, shown), free_bytes / 1e6);
    return 1;
}

int disk_notice(const struct config *config, const struct snapshot *s, char *out, size_t bytes)
{
    char dir[CONFIG_PATH_BYTES] = "";
    out[0] = '\0';
    if (is_waiting(&s->sink_disk) && config_buffer_dir(config, dir) == ERR_OK)
        tell(&s->sink_disk, dir, "capture waits", out, bytes);
    else if (is_waiting(&s->trainer_disk) &&
             config_consumer_dir(config, processes_which_of(s->trainer_disk.process), dir) ==
                 ERR_OK)
        tell(&s->trainer_disk, dir, "checkpoints wait", out, bytes);
    else if (is_waiting(&s->capture_disk) && config_capture_dir(config, dir) == ERR_OK)
        tell(&s->capture_disk, dir, "the count of what is left out is not kept", out, bytes);
    return out[0] || look(config->run_dir, out, bytes);
}
