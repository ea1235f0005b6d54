#include "inspect/labels.h"

#include "base/err.h"
#include "base/fileio.h"
#include "base/own.h"
#include "engine/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { MOST_FILE_BYTES = 1 << 28 };

static int wrong(const char *path, size_t line, const char *what)
{
    return err_set(ERR_FORMAT, "%s:%zu: %s; HINT: a line is a feature's number, a tab and a text",
                   path, line, what);
}

static int parse_line(char *line, uint32_t features, struct label *label, const char **what)
{
    char *tab = strchr(line, '\t'), *end;
    *what = "no tab";
    if (!tab) return 0;
    *tab = '\0';
    unsigned long long n = strtoull(line, &end, 10);
    *what = "no feature's number";
    if (*line < '0' || *line > '9' || *end || n >= features) return 0;
    *label = (struct label){(uint32_t)n, tab + 1};
    return 1;
}

static int by_feature(const void *a, const void *b)
{
    const struct label *x = a, *y = b;
    return (x->feature > y->feature) - (x->feature < y->feature);
}

static int parse(struct labels *l, size_t bytes, uint32_t features, const char *path)
{
    size_t lines = 1, number = 0;
    const char *what;
    if (strlen(l->data) != bytes) return wrong(path, 1, "a NUL");
    for (size_t i = 0; i < bytes; i++) lines += l->data[i] == '\n';
    l->label = malloc(lines * sizeof *l->label);
    if (!l->label) return err_set(ERR_NOMEM, "no memory for labels");
    for (char *at = l->data, *next; *at; at = next) {
        size_t n = strcspn(at, "\n");
        next = at + n + (at[n] == '\n');
        at[n] = '\0';
        if (n > 0 && at[n - 1] == '\r') at[n - 1] = '\0';
        number++;
        if (*at == '\0') continue;
        if (!parse_line(at, features, &l->label[l->count], &what)) return wrong(path, number, what);
        l->count++;
    }
    qsort(l->label, l->count, sizeof *l->label, by_feature);
    for (size_t i = 1; i < l->count; i++)
        if (l->label[i].feature == l->label[i - 1].feature)
            return err_set(ERR_FORMAT, "%s: feature %u has two labels; HINT: remove one", path,
                           l->label[i].feature);
    return ERR_OK;
}

int labels_parse(char *data, size_t bytes, uint32_t features, const char *path,
                 struct labels *labels)
{
    struct labels l = {.data = data};
    int result = parse(&l, bytes, features, path);
    if (result != ERR_OK)
        labels_free(&l);
    else
        *labels = l;
    return result;
}

int labels_read(const char *folder, uint32_t features, struct labels *labels)
{
    char path[4096], *data;
    size_t bytes;
    *labels = (struct labels){0};
    snprintf(path, sizeof path, "%.4000s/labels.tsv", folder);
    int result = own_read(path, MOST_FILE_BYTES, &data, &bytes);
    if (result == ERR_NOTFOUND) return ERR_OK;
    return result == ERR_OK ? labels_parse(data, bytes, features, path, labels) : result;
}

void labels_free(struct labels *labels)
{
    free(labels->label);
    free(labels->data);
    *labels = (struct labels){0};
}

const char *labels_of(const struct labels *labels, uint32_t feature)
{
    struct label key = {feature, NULL}, *found = NULL;
    if (labels->count) found = bsearch(&key, labels->label, labels->count, sizeof key, by_feature);
    return found ? found->text : NULL;
}

static int check_text(const char *text)
{
    size_t bytes = strlen(text);
    int is_printable = utf8_valid(text, bytes);
    for (size_t i = 0; i < bytes; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) is_printable = 0;
    if (is_printable && bytes <= LABELS_MOST_BYTES) return ERR_OK;
    return err_set(ERR_USAGE, "a label is a line of UTF-8 of at most %d bytes; HINT: without tabs",
                   LABELS_MOST_BYTES);
}

/* Two that change labels at once take turns: each reads what the other has written. The folder is what
 * is locked, as the file is replaced. Closing *fd ends it. */
static int lock_folder(const char *folder, int *fd)
{
    *fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*fd < 0) return file_error("opening", folder);
    while (flock(*fd, LOCK_EX) != 0) {
        if (errno == EINTR) continue;
        int result = file_error("locking", folder);
        close(*fd);
        return result;
    }
    return ERR_OK;
}

static int set(const char *folder, uint32_t features, uint32_t feature, const char *text)
{
    struct labels l;
    char path[4096], *data = NULL;
    size_t bytes = 0;
    int is_told = text[0] == '\0', result = labels_read(folder, features, &l);
    if (result != ERR_OK) return result;
    FILE *out = open_memstream(&data, &bytes);
    for (size_t i = 0; out && i <= l.count; i++) {
        if (!is_told && (i == l.count || l.label[i].feature >= feature)) {
            fprintf(out, "%" PRIu32 "\t%s\n", feature, text);
            is_told = 1;
        }
        if (i < l.count && l.label[i].feature != feature)
            fprintf(out, "%" PRIu32 "\t%s\n", l.label[i].feature, l.label[i].text);
    }
    labels_free(&l);
    if (!out || fclose(out) != 0) result = err_set(ERR_NOMEM, "no memory for labels");
    snprintf(path, sizeof path, "%.4000s/labels.tsv", folder);
    if (result == ERR_OK) result = file_replace(path, data, bytes);
    free(data);
    return result;
}

int labels_set(const char *folder, uint32_t features, uint32_t feature, const char *text)
{
    int fd, result = check_text(text);
    if (result == ERR_OK) result = lock_folder(folder, &fd);
    if (result != ERR_OK) return result;
    result = set(folder, features, feature, text);
    close(fd);
    return result;
}
