/*
 * A real Chromium without a window, driven through chromedriver (W3C WebDriver): pages are opened,
 * clicked and typed into as a person does. Anything unexpected fails the test.
 */
#ifndef SLUICE_TESTS_E2E_BROWSER_H
#define SLUICE_TESTS_E2E_BROWSER_H

#include "tests/e2e/harness.h"

struct browser {
    struct run *run;
    pid_t driver;
    char session[256]; /* "http://127.0.0.1:PORT/session/ID" */
};

/* Start one; browser_close() ends it. */
void browser_open(struct run *run, struct browser *browser);
void browser_close(struct browser *browser);

/* cmocka's tear-down of a test that may have failed with a browser open: run_tear_down(), and nothing of
 * it is left running. */
int browser_tear_down(void **state);

/* Run a script in each page that is opened from now on, before any of its own. */
void browser_before(struct browser *browser, const char *script);
/* The page at this address, loaded. */
void browser_go(struct browser *browser, const char *address);
/* A screen of so many pixels: a phone's, or a desktop's. */
void browser_screen(struct browser *browser, int width, int height, int is_phone);
/* What the person's system prefers: light or dark. */
void browser_prefers(struct browser *browser, int is_dark);
/* Click the first element of a CSS selector; type into it. */
void browser_click(struct browser *browser, const char *selector);
void browser_type(struct browser *browser, const char *selector, const char *text);
/* Press a key, wherever the focus is. */
void browser_key(struct browser *browser, const char *key);

/* Run a function's body in the page: what it returns; the caller decrefs. */
json_t *browser_script(struct browser *browser, const char *body);
/* Wait until an expression is true in the page. */
void browser_await(struct browser *browser, const char *expression);
/* The text of an expression, NUL-terminated, valid until the next call. */
const char *browser_text(struct browser *browser, const char *expression);
/* What the page has asked for since it was opened is all of this origin ("http://127.0.0.1:1"; "": it
 * asked for nothing). */
void browser_asked_only(struct browser *browser, const char *origin);
/* A PNG of the screen in the test's folder, to be looked at (SLUICE_E2E_KEEP). */
void browser_picture(struct browser *browser, const char *name);

#endif
