/* `sluice buffer info|verify`. */
#include "buffer/draw.h"

#include "base/err.h"
#include "cli/commands.h"
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
    if (result == ERR_NOTFOUND)
        return err_set(ERR_NOTFOUND, "there is no buffer in %s yet; HINT: `sluice up %s` makes it",
                       dir, config->file);
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

int buffer_verify_command(const struct options *options, const struct config *config)
{
    char dir[CONFIG_PATH_BYTES];
    uint64_t slabs = 0, bad = 0;
    (void)options;
    int result = config_buffer_dir(config, dir);
    if (result == ERR_OK) result = store_verify(dir, &slabs, &bad);
    if (result != ERR_OK) return result;
    printf("%s: %llu slabs, %llu damaged\n", dir, (unsigned long long)slabs,
           (unsigned long long)bad);
    if (bad == 0) return ERR_OK;
    return err_set(ERR_CORRUPT,
                   "%llu of %llu slabs do not match their checksums; HINT: `sluice up` sets the "
                   "buffer aside and makes the rows again",
                   (unsigned long long)bad, (unsigned long long)slabs);
}
