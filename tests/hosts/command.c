#include "tests/hosts/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

const char *command_prefix(void)
{
    const char *prefix = getenv("SLUICE_HOSTS_PREFIX");
    return prefix ? prefix : "";
}

static const char *in_cache(const char *name, char *path, size_t bytes)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    snprintf(path, bytes, "%s%s/sluice/%s",
             cache  ? cache
             : home ? home
                    : "",
             cache ? "" : "/.cache", name);
    return path;
}

const char *command_model(void)
{
    static char path[1024];
    return in_cache("models/smollm2.gguf", path, sizeof path);
}

const char *command_corpus(void)
{
    static char path[1024];
    return in_cache("corpus/corpus.jsonl", path, sizeof path);
}

int command_run(const char *prefix, const char *command, char *out, size_t bytes)
{
    char line[8192];
    snprintf(line, sizeof line, "OMP_WAIT_POLICY=passive exec timeout 300 %s %s", prefix, command);
    fflush(stdout);
    FILE *pipe = popen(line, "r");
    if (!pipe) return -1;
    size_t used = 0, n;
    while (used + 1 < bytes && (n = fread(out + used, 1, bytes - used - 1, pipe)) > 0) used += n;
    out[used] = '\0';
    int status = pclose(pipe);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
