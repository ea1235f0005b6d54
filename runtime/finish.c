#include "runtime/finish.h"

#include "base/err.h"
#include "base/fileio.h"
#include "base/own.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_LIMIT_BYTES = 4096 };

static int file_of(const char *dir, const char *name, char *out)
{
    if (snprintf(out, CONFIG_PATH_BYTES, "%s/%s", dir, name) < CONFIG_PATH_BYTES) return ERR_OK;
    return err_set(ERR_LIMIT, "path too long: %.80s...", dir);
}

static int file_of_consumer(const struct config *config, const char *consumer, const char *name,
                            char *out)
{
    char dir[CONFIG_PATH_BYTES];
    int result = config_consumer_dir(config, consumer, dir);
    return result == ERR_OK ? file_of(dir, name, out) : result;
}

/* Takes `object`. */
static int write_object(const char *path, json_t *object)
{
    char *text = object ? json_dumps(object, JSON_INDENT(1) | JSON_REAL_PRECISION(17)) : NULL;
    json_decref(object);
    if (!text) return err_set(ERR_NOMEM, "no memory for %s", path);
    int result = file_replace(path, text, strlen(text));
    free(text);
    return result;
}

/* The caller decrefs. */
static int read_object(const char *path, json_t **object)
{
    char *text;
    size_t bytes;
    int result = own_read(path, FILE_LIMIT_BYTES, &text, &bytes);
    if (result != ERR_OK) return result;
    *object = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, NULL);
    free(text);
    return *object ? ERR_OK : err_set(ERR_FORMAT, "%s is no JSON", path);
}

static int malformed(const char *path)
{
    return err_set(ERR_FORMAT,
                   "%s does not say what `sluice finish` writes there; HINT: remove it, and say "
                   "`sluice finish` again",
                   path);
}

int finish_ask(const struct config *config, const struct finish_wish *wish)
{
    char path[CONFIG_PATH_BYTES];
    int result = file_of(config->run_dir, "finish.json", path);
    if (result != ERR_OK) return result;
    return write_object(path, json_pack("{s:I, s:b}", "asked_seconds",
                                        (json_int_t)wish->asked_seconds, "at_once", wish->at_once));
}

int finish_asked(const struct config *config, struct finish_wish *wish)
{
    char path[CONFIG_PATH_BYTES];
    json_t *object = NULL;
    json_int_t asked_seconds;
    int result = file_of(config->run_dir, "finish.json", path);
    if (result == ERR_OK) result = read_object(path, &object);
    if (result == ERR_FORMAT) return malformed(path);
    if (result != ERR_OK) return result;
    if (json_unpack(object, "{s:I, s:b}", "asked_seconds", &asked_seconds, "at_once",
                    &wish->at_once) != 0)
        result = malformed(path);
    else
        wish->asked_seconds = asked_seconds;
    json_decref(object);
    return result;
}

int finish_answer_write(const struct config *config, const char *consumer,
                        const struct finish_answer *a)
{
    char path[CONFIG_PATH_BYTES];
    int result = file_of_consumer(config, consumer, "finish.json", path);
    if (result != ERR_OK) return result;
    return write_object(
        path, json_pack("{s:I, s:I, s:f, s:b}", "from_rows", (json_int_t)a->from_rows, "end_rows",
                        (json_int_t)a->end_rows, "left", a->left, "has_enough", a->has_enough));
}

void finish_answer_renew(const struct config *config, const char *consumer)
{
    char path[CONFIG_PATH_BYTES];
    if (file_of_consumer(config, consumer, "finish.json", path) == ERR_OK)
        (void)utimensat(AT_FDCWD, path, NULL, AT_SYMLINK_NOFOLLOW);
}

/* When it was written or renewed last, by the clock of who did; 0: not known. */
static uint64_t renewed_ns(const struct config *config, const char *consumer)
{
    char path[CONFIG_PATH_BYTES];
    struct stat st;
    if (file_of_consumer(config, consumer, "finish.json", path) != ERR_OK || lstat(path, &st) != 0)
        return 0;
    return (uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec;
}

static int take_answer(const json_t *object, struct finish_answer *a)
{
    json_int_t from_rows, end_rows;
    if (json_unpack((json_t *)object, "{s:I, s:I, s:F, s:b}", "from_rows", &from_rows, "end_rows",
                    &end_rows, "left", &a->left, "has_enough", &a->has_enough) != 0)
        return ERR_FORMAT;
    if (from_rows < 0 || end_rows < from_rows || !(a->left >= 0 && a->left <= 1)) return ERR_FORMAT;
    a->from_rows = (uint64_t)from_rows;
    a->end_rows = (uint64_t)end_rows;
    return ERR_OK;
}

int finish_answer_read(const struct config *config, const char *consumer,
                       struct finish_answer *answer)
{
    char path[CONFIG_PATH_BYTES];
    json_t *object = NULL;
    int result = file_of_consumer(config, consumer, "finish.json", path);
    if (result == ERR_OK) result = read_object(path, &object);
    if (result == ERR_OK) result = take_answer(object, answer);
    json_decref(object);
    return result == ERR_FORMAT ? malformed(path) : result;
}

/* Its results are there: it needs nothing more, whether it was asked or not. */
static int is_through(const struct config *config, const char *consumer)
{
    char path[CONFIG_PATH_BYTES];
    return file_of_consumer(config, consumer, "summary.json", path) == ERR_OK &&
           access(path, R_OK) == 0;
}

static enum finish_need need_of(const struct config *config, const char *consumer)
{
    struct finish_answer answer;
    if (is_through(config, consumer)) return FINISH_NEEDS_NONE;
    if (finish_answer_read(config, consumer, &answer) != ERR_OK) return FINISH_SILENT;
    return answer.has_enough ? FINISH_NEEDS_NONE : FINISH_NEEDS_ROWS;
}

enum finish_need finish_need(const struct config *config, uint64_t *heard)
{
    enum finish_need neediest = FINISH_NEEDS_NONE;
    const struct config_list *consumers = &config->trainer.consumers;
    *heard = 0;
    for (uint32_t i = 0; i < consumers->count; i++) {
        enum finish_need need = need_of(config, consumers->item[i]);
        if (need == FINISH_NEEDS_ROWS) *heard += renewed_ns(config, consumers->item[i]);
        if (need < neediest) neediest = need;
    }
    return neediest;
}
