#include "cli/finish.h"

#include "base/err.h"
#include "base/own.h"
#include "cli/commands.h"
#include "cli/lock.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "proto/descriptor.h"
#include "proto/message.h"
#include "runtime/finish.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

void finish_notice(const struct config *config, char *out, size_t bytes)
{
    struct finish_wish wish;
    snprintf(out, bytes, "%s", finish_asked(config, &wish) == ERR_OK ? "finishing" : "");
}

/* ---- may it be asked? ---- */

/* The stream's descriptor, which is there once its first rows were measured. The caller frees it. */
static int read_descriptor(const struct config *config, struct descriptor *d)
{
    char path[CONFIG_PATH_BYTES + 24], *text;
    size_t bytes;
    snprintf(path, sizeof path, "%s/descriptor.json", config->run_dir);
    int result = own_read(path, MESSAGE_MAX_TEXT_BYTES, &text, &bytes);
    if (result == ERR_NOTFOUND)
        return err_set(ERR_STATE,
                       "the stream '%s' has made no rows yet, there is nothing to finish in %s; "
                       "HINT: start it with `sluice up %s`, or stop it with Ctrl-C",
                       config->stream.name, config->run_dir, config->file);
    if (result != ERR_OK) return result;
    result = descriptor_decode(text, bytes, d);
    free(text);
    return result;
}

/* A run with a plan has its decay in it, and ends by itself. */
static int check_is_live(const struct config *config)
{
    struct descriptor d = {0};
    char number[32];
    int result = read_descriptor(config, &d);
    if (result != ERR_OK) return result;
    const struct config_trainer *t = &config->trainer;
    uint64_t rows = t->planned_rows ? t->planned_rows : d.planned_rows * t->reuse;
    int is_live = d.shed || (!rows && !t->stop_rows);
    if (!rows || (t->stop_rows && t->stop_rows < rows)) rows = t->stop_rows;
    descriptor_free(&d);
    if (is_live) return ERR_OK;
    progress_number((double)rows, number, sizeof number);
    return err_set(
        ERR_USAGE,
        "the stream '%s' is no live one: its trainers know its length (%s rows), and let "
        "the learning rate fall before it ends by itself; HINT: to end it earlier, stop "
        "it, set trainer.stop_rows in %s and run `sluice up %s` again",
        config->stream.name, number, config->file, config->file);
}

/* ---- what is told ---- */

static void say_what_happens(const struct config *config, const struct finish_wish *wish,
                             int is_running)
{
    printf("Trainers let the learning rate fall from now on, over %s. ",
           config->trainer.finish_rows ? "trainer.finish_rows rows"
                                       : "the share `decay` of the rows so far");
    printf("%s", wish->at_once
                     ? "Captures take no more rows, so it may be fewer. "
                     : "Captures end when that many are in the buffer (--now: at once). ");
    printf("Then `sluice up` ends, with exports and summary.\n");
    if (!is_running)
        printf("The stream is not running: `sluice up %s` goes on and finishes it.\n",
               config->file);
}

static void say_under_way(const struct config *config, const struct finish_wish *wish)
{
    time_t asked = (time_t)wish->asked_seconds;
    struct tm when;
    char text[64] = "?";
    if (localtime_r(&asked, &when)) strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &when);
    printf("Stream %s is finishing already, since %s. ", config->stream.name, text);
    printf("%s\n", wish->at_once ? "Captures take no more rows."
                                 : "Captures end when trainers need no more rows (--now: at once); "
                                   "`sluice status` shows how far it is.");
}

static int ask(const struct config *config, int at_once, int is_running)
{
    struct finish_wish wish;
    int result = finish_asked(config, &wish), is_under_way = result == ERR_OK;
    if (result != ERR_OK && result != ERR_NOTFOUND) return result;
    if (is_under_way && (wish.at_once || !at_once)) {
        say_under_way(config, &wish);
        return ERR_OK;
    }
    if (!is_under_way) wish.asked_seconds = (int64_t)time(NULL);
    wish.at_once = at_once;
    result = finish_ask(config, &wish);
    if (result != ERR_OK) return result;
    printf("Stream %s finishes. ", config->stream.name);
    say_what_happens(config, &wish, is_running);
    return ERR_OK;
}

int finish_command(const struct options *options, const struct config *config)
{
    if (report_finished(config)) {
        printf("Stream %s is finished.\n", config->stream.name);
        return ERR_OK;
    }
    int result = check_is_live(config);
    if (result != ERR_OK) return result;
    result = lock_check(config);
    if (result != ERR_OK && result != ERR_EXISTS) return result;
    return ask(config, options_get(options, "now") != NULL, result == ERR_EXISTS);
}
