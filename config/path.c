/* Where things live: the run's folder, the cache, sockets. Nothing is created here. */
#include "config/table.h"

#include "base/err.h"
#include "base/rng.h"
#include "proto/message.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SOCKET_PATH_BYTES = 100 }; /* sun_path has 108, ZeroMQ and a lock file's name want some */

static int join(char *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int join(char *out, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(out, CONFIG_PATH_BYTES, fmt, args);
    va_end(args);
    if (n < 0 || n >= CONFIG_PATH_BYTES) return err_set(ERR_LIMIT, "path too long: %.80s...", out);
    return ERR_OK;
}

/* $VARIABLE where it is an absolute path (others are to be ignored, says the XDG standard), else
 * $HOME/below; then /sluice. */
static int xdg_dir(const char *variable, const char *below, char *out)
{
    const char *dir = getenv(variable), *home = getenv("HOME");
    if (dir && dir[0] == '/') return join(out, "%s/sluice", dir);
    if (home && home[0] == '/') return join(out, "%s/%s/sluice", home, below);
    return err_set(ERR_USAGE, "neither %s nor HOME is set; HINT: set HOME, or stream.run_dir",
                   variable);
}

int config_state_dir(char *out)
{
    return xdg_dir("XDG_STATE_HOME", ".local/state", out);
}

int config_cache_dir(char *out)
{
    return xdg_dir("XDG_CACHE_HOME", ".cache", out);
}

/* One way to write each path: no "//", no "/." and no slash at the end. ".." stays, as what it
 * means depends on links. */
static void tidy(char *path)
{
    char *to = path;
    for (const char *from = path; *from;) {
        size_t length = strcspn(from + 1, "/") + 1; /* "/name" */
        if (length > 1 && strncmp(from, "/.", length) != 0) {
            memmove(to, from, length);
            to += length;
        }
        from += length;
    }
    if (to == path) *to++ = '/';
    *to = '\0';
}

static int given_run_dir(const char *dir, char *out)
{
    char base[CONFIG_PATH_BYTES] = "";
    if (dir[0] != '/' && !getcwd(base, sizeof base))
        return err_set(ERR_IO, "cannot tell the working directory; HINT: give stream.run_dir as an "
                               "absolute path");
    int result = dir[0] == '/' ? join(out, "%s", dir) : join(out, "%s/%s", base, dir);
    if (result == ERR_OK) tidy(out);
    return result;
}

int config_run_dir(const struct config *config, char *out)
{
    char base[CONFIG_PATH_BYTES];
    if (config->stream.run_dir[0]) return given_run_dir(config->stream.run_dir, out);
    int result = config_state_dir(base);
    return result == ERR_OK ? join(out, "%s/%s", base, config->stream.name) : result;
}

int config_buffer_dir(const struct config *config, char *out)
{
    return join(out, "%s/buffer", config->run_dir);
}

int config_consumer_dir(const struct config *config, const char *consumer, char *out)
{
    return join(out, "%s/%s", config->run_dir, consumer);
}

int config_capture_dir(const struct config *config, char *out)
{
    return join(out, "%s/capture", config->run_dir);
}

int config_lock_file(const struct config *config, char *out)
{
    return join(out, "%s/lock", config->run_dir);
}

int config_log_file(const struct config *config, const char *process, char *out)
{
    return join(out, "%s/log/%s.log", config->run_dir, process);
}

int config_http_file(const struct config *config, const char *process, char *out)
{
    return join(out, "%s/http/%s", config->run_dir, process);
}

int config_truth_file(const struct config *config, char *out)
{
    const char *file = config->capture.synthetic.truth_file;
    if (!file[0] || file[0] == '/') return join(out, "%s", file);
    return join(out, "%s/%s", config->run_dir, file);
}

int config_endpoint(const struct config *config, enum config_socket socket, char *out)
{
    const char *given = socket == CONFIG_FRONT ? config->broker.front : config->broker.back;
    const char *name = socket == CONFIG_FRONT ? "front" : "back";
    if (given[0]) return join(out, "%s", given);
    int result = join(out, "ipc://%s/ipc/%s", config->run_dir, name);
    if (result != ERR_OK || strlen(out) - strlen("ipc://") <= SOCKET_PATH_BYTES) return result;
    unsigned long long hash = stream_key(config->run_dir);
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    if (runtime && runtime[0] == '/' && strlen(runtime) < SOCKET_PATH_BYTES - 40)
        return join(out, "ipc://%s/sluice-%016llx/%s", runtime, hash, name);
    return join(out, "ipc:///tmp/sluice-%u-%016llx/%s", (unsigned)getuid(), hash, name);
}

static int is_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

int config_model_named(const char *model, const char *key, char *out)
{
    char cache[CONFIG_PATH_BYTES];
    if (strchr(model, '/') || is_file(model)) {
        int result = join(out, "%s", model);
        if (result != ERR_OK || is_file(out)) return result;
        return err_set(ERR_USAGE,
                       "%s: there is no file %s; HINT: give the path of a GGUF file, or "
                       "the name of a model that `make model` fetched (smollm2)",
                       key, model);
    }
    int result = config_cache_dir(cache);
    size_t length = strlen(model);
    int has_end = length > 5 && strcmp(model + length - 5, ".gguf") == 0;
    if (result == ERR_OK)
        result = join(out, "%s/models/%s%s", cache, model, has_end ? "" : ".gguf");
    if (result != ERR_OK || is_file(out)) return result;
    return err_set(ERR_USAGE,
                   "%s: '%s' is neither a file here nor %s; HINT: `make model` fetches "
                   "smollm2, or give the path of a GGUF file",
                   key, model, out);
}

int config_model_path(const struct config *config, char *out)
{
    return config_model_named(config->stream.model, "stream.model", out);
}

static int append(struct config_list *list, const char *text)
{
    char **grown = realloc(list->item, (list->count + 1) * sizeof *grown);
    if (!grown) return err_set(ERR_NOMEM, "no memory for the corpus");
    list->item = grown;
    list->item[list->count] = strdup(text);
    if (!list->item[list->count]) return err_set(ERR_NOMEM, "no memory for the corpus");
    list->count++;
    return ERR_OK;
}

/* A name of `make model`: CACHE/corpus/NAME, a folder or one file with an ending. */
static int append_named(struct config_list *list, const char *name)
{
    static const char *const endings[] = {"", ".txt", ".jsonl", ".json", ".csv", ".tsv"};
    static const char *const packed[] = {"", ".gz", ".zst", ".bz2", ".xz"};
    char cache[CONFIG_PATH_BYTES], path[CONFIG_PATH_BYTES];
    struct stat st;
    int result = config_cache_dir(cache);
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        for (size_t k = 0; k < sizeof packed / sizeof packed[0] && result == ERR_OK; k++) {
            result = join(path, "%s/corpus/%s%s%s", cache, name, endings[i], packed[k]);
            if (result == ERR_OK && stat(path, &st) == 0) return append(list, path);
        }
    }
    if (result != ERR_OK) return result;
    return err_set(ERR_USAGE,
                   "capture.corpus: '%s' is neither a file here nor in %s/corpus; HINT: `make "
                   "model` puts one called corpus there",
                   name, cache);
}

int config_reads_stdin(const struct config *config)
{
    const struct config_list *corpus = &config->capture.corpus;
    for (uint32_t i = 0; i < corpus->count; i++)
        if (strcmp(corpus->item[i], "-") == 0) return config->capture.engine == CONFIG_LLAMA;
    return 0;
}

/* Patterns and folders are resolved by the engine (engine/corpus_files.h). */
int config_corpus(const struct config *config, struct config_list *files)
{
    *files = (struct config_list){0};
    int result = ERR_OK;
    for (uint32_t i = 0; i < config->capture.corpus.count && result == ERR_OK; i++) {
        const char *item = config->capture.corpus.item[i];
        struct stat st;
        if (strcmp(item, "-") == 0 || strpbrk(item, "*?[{") || stat(item, &st) == 0) {
            result = append(files, item);
        } else if (strchr(item, '/')) {
            result = err_set(ERR_USAGE,
                             "capture.corpus: there is no file %s; HINT: give text, JSON or CSV "
                             "files, or the name of a corpus that `make model` fetched (corpus)",
                             item);
        } else {
            result = append_named(files, item);
        }
    }
    if (result != ERR_OK) config_list_free(files);
    return result;
}
