#include "cli/tail.h"

#include <string.h>
#include <sys/types.h>

enum { TAIL_BYTES = 8192 };

/* The file's last bytes, beginning with a whole line, without the last line's end. */
static size_t read_tail(const char *path, char *block)
{
    FILE *file = fopen(path, "re");
    if (!file) return 0;
    fseeko(file, 0, SEEK_END);
    off_t size = ftello(file), from = size > TAIL_BYTES ? size - TAIL_BYTES : 0;
    fseeko(file, from, SEEK_SET);
    size_t n = fread(block, 1, TAIL_BYTES, file);
    fclose(file);
    while (n > 0 && block[n - 1] == '\n') n--;
    block[n] = '\0';
    if (from > 0) {
        char *line = strchr(block, '\n');
        size_t cut = line ? (size_t)(line + 1 - block) : 0;
        memmove(block, block + cut, n - cut + 1);
        n -= cut;
    }
    return n;
}

void tail_message(const char *path, char *out, size_t bytes)
{
    char block[TAIL_BYTES + 1];
    out[0] = '\0';
    if (read_tail(path, block) == 0) return;
    char *line = strrchr(block, '\n');
    line = line ? line + 1 : block;
    char *message = strstr(line, "msg=");
    if (!message) return;
    message += strlen("msg=");
    size_t used = 0;
    for (; *message && used + 1 < bytes; message++)
        if (*message != '"' && *message != '\\') out[used++] = *message;
    out[used] = '\0';
}

void tail_print(const char *path, int lines, const char *indent, FILE *out)
{
    char block[TAIL_BYTES + 1];
    size_t n = read_tail(path, block);
    if (n == 0) return;
    char *from = block + n;
    while (from > block && (from[-1] != '\n' || --lines > 0)) from--;
    for (char *line = strtok(from, "\n"); line; line = strtok(NULL, "\n"))
        fprintf(out, "%s%s\n", indent, line);
}
