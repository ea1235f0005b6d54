/* The page of the feature browser: the files below browse/page/, which the program carries along. */
#ifndef SLUICE_BROWSE_PAGE_H
#define SLUICE_BROWSE_PAGE_H

#include <stddef.h>

enum { PAGE_FILES = 3 };

struct page_file {
    const char *name, *type; /* "page.js", "text/javascript; charset=utf-8" */
    const char *text;        /* with a NUL behind it */
    size_t bytes;
};

/* index.html, page.css, page.js. */
const struct page_file *page_files(void);

/* Put them into an index's folder, so that any web server serves it. ERR_USAGE: the folder is another
 * user's; ERR_NOSPC, ERR_IO. */
int page_write(const char *folder);

#endif
