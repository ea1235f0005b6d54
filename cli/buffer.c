/* `sluice buffer info|verify|repair`. */
#include "buffer/damage.h"
#include "buffer/draw.h"

#include "base/err.h"
#include "cli/commands.h"
#include "cli/lock.h"
#include "cli/progress.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static void line(const char *what, double number, const char *unit)
{
    char text[32];
    progress_number(number, text, sizeof text);
    printf("  %-18s %16s %s\n", what, text, unit);
}

/* As it is, but for the mean: one number for each dimension is nothing to look at. */
static int print_descriptor(const char *text)
{
    json_t *object = json_loads(text, 0, NULL);
    json_object_del(object, "mean");
    int written = object ? json_dumpf(object, stdout, JSON_INDENT(2)) : -1;
    json_decref(object);
    printf("\n");
    return written == 0 ? ERR_OK : err_set(ERR_FORMAT, "the buffer's descriptor is no JSON");
}

static int no_buffer(const struct config *config, const char *dir)
{
    return err_set(ERR_NOTFOUND, "there is no buffer in %s yet; HINT: `sluice up %s` makes it", dir,
                   config->file);
}

int buffer_info_command(const struct options *options, const struct config *config)
{
    char dir[CONFIG_PATH_BYTES];
    struct draw *draw;
    (void)options;
    int result = config_buffer_dir(config, dir);
    if (result != ERR_OK) return result;
    /* A name that no consumer has; nothing is drawn and nothing written. */
    struct draw_options look = {.dir = dir,
                                .stream = config->stream.name,
                                .consumer = "info",
                                .reuse = 1,
                                .replay = 1,
                                .look = 1,
                                .shuffle = 1};
    result = draw_open(&look, &draw);
    if (result == ERR_NOTFOUND) return no_buffer(config, dir);
    if (result != ERR_OK) return result;
    struct draw_gauges gauges = draw_gauges(draw);
    printf("Buffer %s\n\n", dir);
    line("width", draw_width(draw), "values");
    line("slabs", (double)gauges.slabs, "");
    line("capacity", (double)gauges.capacity_rows, "rows");
    result = print_descriptor(draw_descriptor(draw));
    draw_close(draw);
    return result;
}

/* The places of consumers: a damaged one is no damage of the buffer. Returns how many are. */
static uint32_t print_places(const struct config *config, const char *dir)
{
    uint32_t damaged = 0;
    for (uint32_t i = 0; i < config->trainer.consumers.count; i++) {
        const char *name = config->trainer.consumers.item[i];
        struct consumer_state state;
        int result = consumer_read(dir, name, &state);
        if (result == ERR_OK) consumer_state_free(&state);
        if (result != ERR_FORMAT && result != ERR_CHECKSUM) continue;
        damaged++;
        printf(
            "The place of consumer %s is damaged; its trainer writes it again when it runs: %s\n",
            name, err_text());
    }
    return damaged;
}

/* From where each producer makes rows again for one consumer. */
static void print_needs(const char *dir, const char *name)
{
    struct consumer_state state;
    int result = consumer_read(dir, name, &state);
    if (result != ERR_OK && result != ERR_NOTFOUND) return; /* print_places() has told it */
    if (result == ERR_NOTFOUND) state = (struct consumer_state){0};
    if (state.finished)
        printf("Consumer %s is finished and needs nothing more.\n", name);
    else if (state.producers == 0)
        printf("Consumer %s has no rows covered by a checkpoint: all are made again.\n", name);
    for (uint32_t p = 0; !state.finished && p < state.producers; p++)
        printf("Consumer %s needs frames of producer %u from %llu on: they are made again.\n", name,
               p, (unsigned long long)state.producer[p].lowest);
    consumer_state_free(&state);
}

static void print_again(const struct config *config, const char *dir)
{
    const struct config_list *consumers = &config->trainer.consumers;
    if (config->stream.policy == CONFIG_SHED) {
        printf("A live stream is not made again: what was not drawn counts as skipped.\n");
        return;
    }
    if (consumers->count == 0) printf("No consumer is declared: all rows are made again.\n");
    for (uint32_t i = 0; i < consumers->count; i++) print_needs(dir, consumers->item[i]);
}

/* What verifying found, told to the sink too: it sets the buffer aside at once, or when it starts.
 * */
static int report(const struct config *config, const char *dir, uint64_t inode, const char *why)
{
    int told = damage_report(dir, inode, 0, "`sluice buffer verify`", why);
    return err_set(ERR_CORRUPT,
                   "the buffer is damaged: %s; HINT: %s`sluice buffer repair %s` sets it aside "
                   "where no sink runs, and what consumers still need is made again",
                   why,
                   told == ERR_OK
                       ? "the sink does what follows by itself, within a second where it "
                         "runs, else when `sluice up` starts it; "
                       : "",
                   config->file);
}

int buffer_verify_command(const struct options *options, const struct config *config)
{
    char dir[CONFIG_PATH_BYTES], why[512];
    uint64_t slabs = 0, bad = 0;
    (void)options;
    int result = config_buffer_dir(config, dir);
    if (result != ERR_OK) return result;
    uint64_t inode = damage_inode(dir);
    result = store_verify(dir, &slabs, &bad);
    if (result == ERR_NOTFOUND) return no_buffer(config, dir);
    if (result != ERR_OK && result != ERR_CORRUPT) return result;
    snprintf(why, sizeof why, "%s", result == ERR_CORRUPT ? err_text() : "");
    if (result == ERR_OK)
        printf("%s: %llu slabs, %llu damaged\n", dir, (unsigned long long)slabs,
               (unsigned long long)bad);
    if (bad > 0)
        snprintf(why, sizeof why, "%llu of %llu slabs do not match their checksums",
                 (unsigned long long)bad, (unsigned long long)slabs);
    print_places(config, dir);
    if (!why[0]) return ERR_OK;
    print_again(config, dir);
    return report(config, dir, inode, why);
}

int buffer_repair_command(const struct options *options, const struct config *config)
{
    char dir[CONFIG_PATH_BYTES];
    static struct store_repair repair;
    (void)options;
    int result = config_buffer_dir(config, dir);
    if (result == ERR_OK) result = lock_check(config);
    if (result == ERR_OK) result = store_repair(dir, &repair);
    if (result == ERR_NOTFOUND) return no_buffer(config, dir);
    if (result == ERR_EXISTS)
        return err_set(ERR_EXISTS,
                       "a sink is at work on %s, which sets a damaged buffer aside by itself (%s)",
                       dir, err_text());
    if (result != ERR_OK) return result;
    uint32_t places = print_places(config, dir);
    if (!repair.was_set_aside) {
        printf("%s: %llu slabs, none damaged: %s.\n", dir, (unsigned long long)repair.slabs,
               places ? "nothing else to do" : "nothing to do");
        return ERR_OK;
    }
    printf("The buffer is damaged: %s.\nIt was set aside in %s; nobody reads it again.\n",
           repair.why, repair.where);
    print_again(config, dir);
    return ERR_OK;
}
