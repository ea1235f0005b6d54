#include "cli/tail.h"

#include "base/err.h"
#include "base/own.h"

#include <string.h>
#include <sys/stat.h>

enum { TAIL_BYTES = 8192 };

off_t tail_size(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 ? st.st_size : 0;
}

/* The file's last bytes after `from`, beginning with a whole line, without the last line's end. */
static size_t read_tail(const char *path, off_t from, char *block)
{
    off_t size = tail_size(path);
    if (from > size) from = 0; /* another file has begun since (runtime/log.h) */
    int cut_short = size - from > TAIL_BYTES;
    FILE *file;
    if (own_stream(path, &file) != ERR_OK) return 0;
    fseeko(file, cut_short ? size - TAIL_BYTES : from, SEEK_SET);
    size_t n = fread(block, 1, TAIL_BYTES, file);
    fclose(file);
    while (n > 0 && block[n - 1] == '\n') n--;
    block[n] = '\0';
    if (cut_short) {
        char *line = strchr(block, '\n');
        size_t cut = line ? (size_t)(line + 1 - block) : 0;
        memmove(block, block + cut, n - cut + 1);
        n -= cut;
    }
    return n;
}

static void say(const char *line, char *out, size_t bytes)
{
    const char *message = strstr(line, "msg=");
    size_t used = 0;
    if (!message) return;
    for (message += strlen("msg="); *message && *message != '\n' && used + 1 < bytes; message++)
        if (*message != '"' && *message != '\\') out[used++] = *message;
    out[used] = '\0';
}

static void last_with(const char *path, off_t from, const char *word, char *out, size_t bytes)
{
    char block[TAIL_BYTES + 1];
    out[0] = '\0';
    if (read_tail(path, from, block) == 0) return;
    for (char *line = block; line; line = strchr(line, '\n')) {
        if (*line == '\n') line++;
        char *end = strchr(line, '\n'), *found = strstr(line, word);
        if (found && (!end || found < end)) say(line, out, bytes);
    }
}

void tail_message(const char *path, off_t from, char *out, size_t bytes)
{
    last_with(path, from, "msg=", out, bytes);
}

void tail_error(const char *path, off_t from, char *out, size_t bytes)
{
    last_with(path, from, "level=error", out, bytes);
}

void tail_print(const char *path, int lines, const char *indent, FILE *out)
{
    char block[TAIL_BYTES + 1];
    size_t n = read_tail(path, 0, block);
    if (n == 0) return;
    char *from = block + n;
    while (from > block && (from[-1] != '\n' || --lines > 0)) from--;
    for (char *line = strtok(from, "\n"); line; line = strtok(NULL, "\n"))
        fprintf(out, "%s%s\n", indent, line);
}
