/* What people call features: INDEX/labels.tsv, a line each, the feature's number, a tab and a text. */
#ifndef SLUICE_INSPECT_LABELS_H
#define SLUICE_INSPECT_LABELS_H

#include <stddef.h>
#include <stdint.h>

enum { LABELS_MOST_BYTES = 1000 }; /* of one */

struct label {
    uint32_t feature;
    const char *text; /* in `data` */
};

struct labels {          /* all owned */
    struct label *label; /* (count), ascending */
    size_t count;
    char *data;
};

/* None where there is no file. ERR_FORMAT: FILE:LINE and what is wrong: no tab, no number, a feature
 * not below `features`, or one that is there twice; ERR_NOMEM, ERR_IO. labels_free() frees. */
int labels_read(const char *folder, uint32_t features, struct labels *labels);
/* The same of bytes, which it takes, on failure too; data[bytes] is 0. `path` is for the texts. */
int labels_parse(char *data, size_t bytes, uint32_t features, const char *path,
                 struct labels *labels);
void labels_free(struct labels *labels);
/* NULL: it has none. */
const char *labels_of(const struct labels *labels, uint32_t feature);

/* Give a feature a label ("": none). The file is replaced whole. Others who change labels of
 * this folder take turns with it, so it may wait for them. ERR_USAGE: it is no UTF-8, too long, or
 * holds a control character; errors of labels_read(), ERR_NOSPC. */
int labels_set(const char *folder, uint32_t features, uint32_t feature, const char *text);

#endif
