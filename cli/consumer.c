/* `sluice consumer list|drop`. */
#include "buffer/consumer.h"

#include "base/err.h"
#include "cli/commands.h"
#include "cli/lock.h"
#include "cli/progress.h"
#include "cli/snapshot.h"
#include "proto/message.h"
#include "wiring/processes.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* `status`: what the broker says, NULL where none answers. */
static void print_one(const struct config *config, const json_t *status, const char *buffer,
                      const char *name)
{
    char process[MESSAGE_NAME_BYTES];
    struct consumer_state state;
    char drawn[32], held[32], skipped[32];
    int result = consumer_read(buffer, name, &state);
    const char *declared = config_has_consumer(config, name) ? "yes" : "no";
    if (result == ERR_NOTFOUND) {
        printf("  %-24s  %-8s  %14s  %12s  %12s  %s\n", name, declared, "-", "-", "-",
               "no checkpoint yet");
        return;
    }
    if (result != ERR_OK) {
        printf("  %-24s  %-8s  unreadable: %s\n", name, declared, err_text());
        return;
    }
    processes_name(PROCESS_TRAINER, name, process, sizeof process); /* as it calls itself */
    progress_number((double)state.rows_drawn, drawn, sizeof drawn);
    progress_number((double)state.rows_held_out, held, sizeof held);
    progress_number((double)state.rows_skipped, skipped, sizeof skipped);
    printf("  %-24s  %-8s  %14s  %12s  %12s  %s\n", name, declared, drawn, held, skipped,
           state.finished                  ? "finished"
           : snapshot_has(status, process) ? "at work"
                                           : "stopped");
    consumer_state_free(&state);
}

int consumer_list_command(const struct options *options, const struct config *config)
{
    char buffer[CONFIG_PATH_BYTES], folder[CONFIG_PATH_BYTES + 16];
    json_t *status = NULL;
    int result = config_buffer_dir(config, buffer);
    (void)options;
    if (result != ERR_OK) return result;
    printf("  %-24s  %-8s  %14s  %12s  %12s\n", "consumer", "declared", "drawn rows", "held out",
           "skipped");
    if (snapshot_fetch(config, &status) != ERR_OK) status = NULL;
    for (uint32_t i = 0; i < config->trainer.consumers.count; i++)
        print_one(config, status, buffer, config->trainer.consumers.item[i]);
    snprintf(folder, sizeof folder, "%s/CONSUMERS", buffer);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        char name[256];
        snprintf(name, sizeof name, "%s", entry->d_name);
        char *ending = strstr(name, ".state");
        if (!ending || ending[6] != '\0') continue;
        *ending = '\0';
        if (!config_has_consumer(config, name)) print_one(config, status, buffer, name);
    }
    if (dir) closedir(dir);
    json_decref(status);
    printf("\n  Rows are those of each consumer's last checkpoint.\n");
    return ERR_OK;
}

int consumer_drop_command(const struct options *options, const struct config *config)
{
    char buffer[CONFIG_PATH_BYTES];
    const char *name = options->arguments[0];
    struct consumer_state state;
    if (config_has_consumer(config, name))
        return err_set(
            ERR_USAGE,
            "trainer.consumers declares '%s', so rows are kept for it; HINT: take it out "
            "of %s first",
            name, config->file);
    int result = config_buffer_dir(config, buffer);
    if (result == ERR_OK) result = lock_check(config);
    if (result != ERR_OK) return result;
    result = consumer_read(buffer, name, &state);
    if (result == ERR_OK) consumer_state_free(&state);
    if (result == ERR_NOTFOUND)
        return err_set(ERR_USAGE,
                       "no consumer '%s' has drawn from %s; HINT: see `sluice consumer list`", name,
                       buffer);
    result = consumer_drop(buffer, name); /* also where its state is unreadable */
    if (result == ERR_OK) printf("Consumer %s is forgotten.\n", name);
    return result;
}
