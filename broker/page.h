/*
 * The live page: the files below broker/page/, and dygraphs, out of Debian, which draws its charts. The
 * program carries all of them along, so nothing is asked of anybody else. It shows what api.h tells.
 *
 *   /             the page                    /page.css, /dygraph.css
 *   /page.js      and the modules beside it   /dygraph.js
 */
#ifndef SLUICE_BROKER_PAGE_H
#define SLUICE_BROKER_PAGE_H

#include "runtime/http.h"

enum { PAGE_HANDLERS = 18, PAGE_MOST_BYTES = 1000000 /* of all files together */ };

/* A handler for each file, which needs no argument. */
void page_handlers(struct http_handler handlers[PAGE_HANDLERS]);

#endif
