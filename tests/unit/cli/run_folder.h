/* A run's folder with a consumer's in it, and the configuration that names it: what tests of the
 * commands need that read what a run left. */
#ifndef SLUICE_TESTS_CLI_RUN_FOLDER_H
#define SLUICE_TESTS_CLI_RUN_FOLDER_H

#include "base/err.h"
#include "base/fileio.h"
#include "config/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char dir[64];
static struct config *config;

static int set_up(void **state)
{
    (void)state;
    char text[160], folder[96];
    snprintf(dir, sizeof dir, "/tmp/sluice-cli-XXXXXX");
    if (!mkdtemp(dir)) return -1;
    snprintf(folder, sizeof folder, "%s/main", dir);
    if (mkdir(folder, 0700) != 0) return -1;
    snprintf(text, sizeof text, "stream: {name: t, run_dir: %s}\n", dir);
    return config_parse(text, strlen(text), "t.yaml", NULL, 0, &config) == ERR_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    config_free(config);
    return dir_remove(dir) == ERR_OK ? 0 : -1;
}

#endif
