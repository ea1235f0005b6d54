#include "broker/page.h"

#include "base/carry.h"
#include "base/err.h"

#include <stdlib.h>
#include <string.h>

/* What the page may do: run, show and ask for what comes from where it came from, and no more. */
static const char policy[] = "default-src 'none'; style-src 'self'; script-src 'self'; "
                             "connect-src 'self'; img-src data:; base-uri 'none'; "
                             "form-action 'none'; frame-ancestors 'none'";

static const char html[] = "text/html; charset=utf-8", css[] = "text/css; charset=utf-8",
                  js[] = "text/javascript; charset=utf-8";

/* F(NAME, where it is served, type, where it lies). DYGRAPHS is a folder, which the Makefile names. */
#define PAGE_FILES(F)                                                                              \
    F(index, "/", html, "broker/page/index.html")                                                  \
    F(page_css, "/page.css", css, "broker/page/page.css")                                          \
    F(page_js, "/page.js", js, "broker/page/page.js")                                              \
    F(chart_js, "/chart.js", js, "broker/page/chart.js")                                           \
    F(charts_js, "/charts.js", js, "broker/page/charts.js")                                        \
    F(colours_js, "/colours.js", js, "broker/page/colours.js")                                     \
    F(element_js, "/element.js", js, "broker/page/element.js")                                     \
    F(live_js, "/live.js", js, "broker/page/live.js")                                              \
    F(map_js, "/map.js", js, "broker/page/map.js")                                                 \
    F(number_js, "/number.js", js, "broker/page/number.js")                                        \
    F(past_js, "/past.js", js, "broker/page/past.js")                                              \
    F(status_js, "/status.js", js, "broker/page/status.js")                                        \
    F(sweep_js, "/sweep.js", js, "broker/page/sweep.js")                                           \
    F(tables_js, "/tables.js", js, "broker/page/tables.js")                                        \
    F(tiles_js, "/tiles.js", js, "broker/page/tiles.js")                                           \
    F(view_js, "/view.js", js, "broker/page/view.js")                                              \
    F(dygraph_js, "/dygraph.js", js, DYGRAPHS "/dygraph.js")                                       \
    F(dygraph_css, "/dygraph.css", css, DYGRAPHS "/dygraph.css")

#define CARRIED(name, path, type, file) CARRY(broker_page_##name, file);
PAGE_FILES(CARRIED)

struct page_file {
    const char *path, *type, *text, *end;
};

#define ROW(name, path, type, file) {path, type, broker_page_##name, broker_page_##name##_end},
static const struct page_file files[] = {PAGE_FILES(ROW)};

_Static_assert(sizeof files / sizeof *files == PAGE_HANDLERS, "a handler for each file");

static int get_file(void *arg, const struct http_request *request, struct http_reply *reply)
{
    size_t i = 0;
    (void)arg;
    while (strcmp(files[i].path, request->path) != 0) i++; /* it is one of them */
    reply->content_type = files[i].type;
    reply->policy = policy;
    reply->bytes = (size_t)(files[i].end - files[i].text);
    reply->body = malloc(reply->bytes);
    if (!reply->body) return err_set(ERR_NOMEM, "no memory for the page");
    memcpy(reply->body, files[i].text, reply->bytes);
    return ERR_OK;
}

void page_handlers(struct http_handler handlers[PAGE_HANDLERS])
{
    for (size_t i = 0; i < PAGE_HANDLERS; i++)
        handlers[i] = (struct http_handler){.path = files[i].path, .ask = get_file};
}
