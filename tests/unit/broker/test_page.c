/* The files of the live page: all that it names is there, and nothing is anybody else's. */
#include "broker/page.h"

#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants the above first */
#include <cmocka.h>

static struct http_handler handlers[PAGE_HANDLERS];

static int set_up(void **state)
{
    (void)state;
    page_handlers(handlers);
    return 0;
}

static struct http_reply get(size_t i)
{
    struct http_request request = {.method = "GET", .path = handlers[i].path};
    struct http_reply reply = {.status = 200, .file = -1};
    assert_int_equal(handlers[i].ask(NULL, &request, &reply), ERR_OK);
    assert_non_null(reply.body);
    return reply;
}

/* The file as text; the caller frees it. */
static char *text_of(size_t i)
{
    struct http_reply reply = get(i);
    char *text = malloc(reply.bytes + 1);
    assert_non_null(text);
    memcpy(text, reply.body, reply.bytes);
    text[reply.bytes] = '\0';
    free(reply.body);
    return text;
}

static int is_served(const char *name, size_t bytes)
{
    for (size_t i = 0; i < PAGE_HANDLERS; i++)
        if (strlen(handlers[i].path) == bytes + 1 && !strncmp(handlers[i].path + 1, name, bytes))
            return 1;
    return 0;
}

static void every_file_has_its_type_and_the_policy(void **state)
{
    size_t bytes = 0;
    (void)state;
    for (size_t i = 0; i < PAGE_HANDLERS; i++) {
        struct http_reply reply = get(i);
        const char *end = strrchr(handlers[i].path, '.');
        const char *type = !end                  ? "text/html"
                           : !strcmp(end, ".js") ? "text/javascript"
                                                 : "text/css";
        assert_int_equal(strncmp(reply.content_type, type, strlen(type)), 0);
        assert_non_null(strstr(reply.policy, "default-src 'none'"));
        assert_null(strstr(reply.policy, "unsafe"));
        bytes += reply.bytes;
        free(reply.body);
    }
    assert_true(bytes > 100000 && bytes <= PAGE_MOST_BYTES);
}

/* What stands behind `mark`, up to a quote, is a file of ours, a place in the page, or no file at all. */
static void names_only_ours(const char *path, const char *text, const char *mark)
{
    for (const char *at = strstr(text, mark); at; at = strstr(at + 1, mark)) {
        const char *name = at + strlen(mark);
        size_t bytes = strcspn(name, "\"");
        if (name[0] == '#' || strncmp(name, "data:", 5) == 0) continue;
        if (!is_served(name, bytes)) fail_msg("%s names %.*s", path, (int)bytes, name);
    }
}

static void all_that_it_names_is_there(void **state)
{
    static const char svg[] = "http://www.w3.org/2000/svg"; /* a name, which is not asked for */
    (void)state;
    for (size_t i = 0; i < PAGE_HANDLERS; i++) {
        if (strstr(handlers[i].path, "dygraph")) continue;
        char *text = text_of(i);
        names_only_ours(handlers[i].path, text, "href=\"");
        names_only_ours(handlers[i].path, text, "src=\"");
        names_only_ours(handlers[i].path, text, "from \"./");
        for (const char *at = strstr(text, "http"); at; at = strstr(at + 1, "http"))
            if ((!strncmp(at, "http://", 7) || !strncmp(at, "https://", 8)) &&
                strncmp(at, svg, strlen(svg)) != 0)
                fail_msg("%s names %.60s", handlers[i].path, at);
        assert_null(strstr(text, "innerHTML"));
        free(text);
    }
}

/* MIT: its notice goes with each copy. */
static void the_charts_keep_their_notice(void **state)
{
    (void)state;
    for (size_t i = 0; i < PAGE_HANDLERS; i++) {
        if (strcmp(handlers[i].path, "/dygraph.js") != 0) continue;
        char *text = text_of(i);
        assert_non_null(strstr(text, "Permission is hereby granted, free of charge"));
        assert_non_null(strstr(text, "Copyright (c) 2006"));
        free(text);
        return;
    }
    fail_msg("there is no dygraph.js");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_file_has_its_type_and_the_policy),
        cmocka_unit_test(all_that_it_names_is_there),
        cmocka_unit_test(the_charts_keep_their_notice),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
