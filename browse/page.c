#include "browse/page.h"

#include "base/carry.h"
#include "base/err.h"
#include "base/fileio.h"

#include <stdio.h>

CARRY(browse_page_html, "browse/page/index.html");
CARRY(browse_page_css, "browse/page/page.css");
CARRY(browse_page_js, "browse/page/page.js");

const struct page_file *page_files(void)
{
    static struct page_file files[PAGE_FILES] = {
        {"index.html", "text/html; charset=utf-8", browse_page_html, 0},
        {"page.css", "text/css; charset=utf-8", browse_page_css, 0},
        {"page.js", "text/javascript; charset=utf-8", browse_page_js, 0},
    };
    files[0].bytes = (size_t)(browse_page_html_end - browse_page_html);
    files[1].bytes = (size_t)(browse_page_css_end - browse_page_css);
    files[2].bytes = (size_t)(browse_page_js_end - browse_page_js);
    return files;
}

int page_write(const char *folder)
{
    char path[4096];
    int result = ERR_OK;
    for (int i = 0; i < PAGE_FILES && result == ERR_OK; i++) {
        const struct page_file *file = &page_files()[i];
        snprintf(path, sizeof path, "%.4000s/%s", folder, file->name);
        result = file_replace(path, file->text, file->bytes);
    }
    return result;
}
