/* The preloaded library begins before the program's main(), and ends behind it. */
#include "base/err.h"
#include "proto/tap_folder.h"
#include "tap/control.h"
#include "tap/environment.h"
#include "tap/tap.h"
#include "tap/tell.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What `sluice tap` wrote for this program alone. */
static void remove_table(const char *path)
{
    char folder[256];
    for (unsigned n = 0; n < TAP_FOLDERS; n++) {
        if (tap_folder_path(n, folder, sizeof folder) != ERR_OK) continue;
        size_t length = strlen(folder);
        if (strncmp(path, folder, length) == 0 && strncmp(path + length, "/steer-", 7) == 0 &&
            !strchr(path + length + 1, '/'))
            unlink(path);
    }
}

static int steer(const struct tap_start *start)
{
    struct tap_change change = {.steer = start->steer, .keeps_steered = start->keeps_steered};
    char why[512];
    if (!start->steer[0]) return ERR_OK;
    int result = tap_set(&change, why, sizeof why);
    remove_table(start->steer);
    return result == ERR_OK ? ERR_OK : err_set(result, "nothing is steered: %s", why);
}

__attribute__((constructor)) static void begin(void)
{
    static int once;
    struct tap_start start;
    char text[600];
    if (environment_is_handed_on()) return;
    int result = environment_read(&start);
    if (result == ERR_OK) result = tap_begin(&start);
    if (result != ERR_OK) {
        snprintf(text, sizeof text, "%s; the program goes on without the tap", err_text());
        tell_once(&once, text);
    }
    if (result == ERR_OK && steer(&start) != ERR_OK) tell_once(&once, err_text());
    environment_clean();
}

__attribute__((destructor)) static void end(void)
{
    control_stop();
    tap_end();
}
