#include "tests/e2e/browser.h"

#include "base/err.h"
#include "base/fileio.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
/* cmocka wants the above first */
#include <cmocka.h>

enum { SECONDS = 60, AWAITED_SECONDS = 60, ADDRESS_BYTES = 512 };

/* ---- WebDriver ---- */

/* Ask the driver; its value, which the caller decrefs. `what`: below the session. */
static json_t *drive(struct browser *b, const char *what, json_t *body)
{
    char address[ADDRESS_BYTES], path[HARNESS_PATH_BYTES + 32], at[HARNESS_PATH_BYTES + 40];
    snprintf(address, sizeof address, "%s%s", b->session, what);
    snprintf(path, sizeof path, "%s/ask.json", b->run->dir);
    snprintf(at, sizeof at, "@%s", path);
    char *text = json_dumps(body, 0);
    run_write(b->run, "ask.json", text);
    free(text);
    json_decref(body);
    if (run_command(b->run, SECONDS, "/usr/bin/curl", "-s", "-H", "Content-Type: application/json",
                    "-d", at, address, NULL) != 0)
        fail_msg("chromedriver does not answer at %s: %s", address, b->run->err);
    json_t *answer = json_loads(b->run->out, 0, NULL);
    json_t *value = json_incref(json_object_get(answer, "value"));
    json_decref(answer);
    const char *error = json_string_value(json_object_get(value, "error"));
    if (!value || error)
        fail_msg("%s: %s", what,
                 error ? json_string_value(json_object_get(value, "message")) : b->run->out);
    return value;
}

static void must_drive(struct browser *b, const char *what, json_t *body)
{
    json_decref(drive(b, what, body));
}

/* The port that the driver tells in its output; 0: not yet. */
static int driver_port(const struct run *run)
{
    char path[HARNESS_PATH_BYTES + 32], line[256];
    snprintf(path, sizeof path, "%s/chromedriver.out", run->dir);
    FILE *in = fopen(path, "r");
    int port = 0;
    while (in && !port && fgets(line, sizeof line, in)) {
        const char *at = strstr(line, "on port ");
        if (strstr(line, "successfully") && at) port = atoi(at + strlen("on port "));
    }
    if (in) fclose(in);
    return port;
}

/* Its port. It takes one for IPv4 and wants the same for IPv6, and ends where that is another's: it is
 * started again. */
static int start_driver(struct run *run, pid_t *driver)
{
    double until = harness_seconds() + SECONDS;
    int port, status, ended = 1;
    for (; !(port = driver_port(run)) && harness_seconds() < until; harness_sleep(0.1)) {
        if (ended)
            *driver = run_start(run, "chromedriver", "/usr/bin/chromedriver", "--port=0", NULL);
        ended = waitpid(*driver, &status, WNOHANG) == *driver;
    }
    if (port) return port;
    char path[HARNESS_PATH_BYTES + 32], *said;
    size_t bytes;
    snprintf(path, sizeof path, "%s/chromedriver.out", run->dir);
    if (file_read(path, 1 << 16, &said, &bytes) != ERR_OK) fail_msg("%s", err_text());
    fail_msg("chromedriver does not start; HINT: `make deps` installs it; %s", said);
    return 0;
}

void browser_open(struct run *run, struct browser *b)
{
    char data[HARNESS_PATH_BYTES + 64];
    *b = (struct browser){.run = run};
    int port = start_driver(run, &b->driver);
    snprintf(data, sizeof data, "%d\n", (int)b->driver);
    run_write(run, "chromedriver.pid", data);
    snprintf(b->session, sizeof b->session, "http://127.0.0.1:%d/session", port);
    snprintf(data, sizeof data, "--user-data-dir=%s/chromium", run->dir);
    /* Tests run as root in a container, where Chromium's own sandbox does not start. */
    json_t *arguments = json_pack("[s, s, s, s, s]", "--headless=new", "--no-sandbox",
                                  "--disable-gpu", "--disable-dev-shm-usage", data);
    json_t *value = drive(b, "",
                          json_pack("{s:{s:{s:{s:o}}}}", "capabilities", "alwaysMatch",
                                    "goog:chromeOptions", "args", arguments));
    const char *id = json_string_value(json_object_get(value, "sessionId"));
    assert_non_null(id);
    size_t n = strlen(b->session);
    snprintf(b->session + n, sizeof b->session - n, "/%s", id);
    json_decref(value);
}

void browser_close(struct browser *b)
{
    run_command(b->run, SECONDS, "/usr/bin/curl", "-s", "-X", "DELETE", b->session, NULL);
    kill(b->driver, SIGTERM);
    run_wait(b->driver, SECONDS);
}

int browser_tear_down(void **state)
{
    struct run *run = *state;
    char data[HARNESS_PATH_BYTES + 64];
    snprintf(data, sizeof data, "user-data-dir=%s/chromium", run->dir);
    run_command(run, SECONDS, "/usr/bin/pkill", "-9", "-f", "-e", data, NULL);
    snprintf(data, sizeof data, "%s/chromedriver.pid", run->dir);
    run_command(run, SECONDS, "/usr/bin/pkill", "-F", data, NULL);
    return run_tear_down(state);
}

/* ---- what a person does ---- */

static void devtools(struct browser *b, const char *command, json_t *parameters)
{
    must_drive(b, "/goog/cdp/execute",
               json_pack("{s:s, s:o}", "cmd", command, "params", parameters));
}

void browser_before(struct browser *b, const char *script)
{
    devtools(b, "Page.addScriptToEvaluateOnNewDocument", json_pack("{s:s}", "source", script));
}

void browser_go(struct browser *b, const char *address)
{
    must_drive(b, "/url", json_pack("{s:s}", "url", address));
}

void browser_screen(struct browser *b, int width, int height, int is_phone)
{
    devtools(b, "Emulation.setDeviceMetricsOverride",
             json_pack("{s:i, s:i, s:i, s:b}", "width", width, "height", height,
                       "deviceScaleFactor", 1, "mobile", is_phone));
}

void browser_prefers(struct browser *b, int is_dark)
{
    devtools(b, "Emulation.setEmulatedMedia",
             json_pack("{s:[{s:s, s:s}]}", "features", "name", "prefers-color-scheme", "value",
                       is_dark ? "dark" : "light"));
}

static void find(struct browser *b, const char *selector, const char *then, char *out, size_t bytes)
{
    json_t *value =
        drive(b, "/element", json_pack("{s:s, s:s}", "using", "css selector", "value", selector));
    json_t *id = json_object_iter_value(json_object_iter(value));
    snprintf(out, bytes, "/element/%s/%s", json_string_value(id), then);
    json_decref(value);
}

void browser_click(struct browser *b, const char *selector)
{
    char what[256];
    find(b, selector, "click", what, sizeof what);
    must_drive(b, what, json_object());
}

void browser_type(struct browser *b, const char *selector, const char *text)
{
    char what[256];
    find(b, selector, "value", what, sizeof what);
    must_drive(b, what, json_pack("{s:s}", "text", text));
}

void browser_key(struct browser *b, const char *key)
{
    must_drive(b, "/actions",
               json_pack("{s:[{s:s, s:s, s:[{s:s, s:s}, {s:s, s:s}]}]}", "actions", "type", "key",
                         "id", "keys", "actions", "type", "keyDown", "value", key, "type", "keyUp",
                         "value", key));
}

/* ---- what is there ---- */

json_t *browser_script(struct browser *b, const char *body)
{
    return drive(b, "/execute/sync", json_pack("{s:s, s:[]}", "script", body, "args"));
}

static json_t *evaluate(struct browser *b, const char *expression)
{
    char *body = NULL;
    if (asprintf(&body, "return (%s);", expression) < 0) fail();
    json_t *value = browser_script(b, body);
    free(body);
    return value;
}

void browser_await(struct browser *b, const char *expression)
{
    for (double end = harness_seconds() + AWAITED_SECONDS; harness_seconds() < end;) {
        json_t *value = evaluate(b, expression);
        int is_true = json_is_true(value);
        json_decref(value);
        if (is_true) return;
        harness_sleep(0.1);
    }
    fail_msg("never true in the page: %s; it shows: %s", expression,
             browser_text(b, "document.body.innerText.slice(0, 2000)"));
}

const char *browser_text(struct browser *b, const char *expression)
{
    static char text[HARNESS_TEXT_BYTES];
    json_t *value = evaluate(b, expression);
    if (!json_is_string(value)) fail_msg("no text: %s", expression);
    snprintf(text, sizeof text, "%s", json_string_value(value));
    json_decref(value);
    return text;
}

void browser_asked_only(struct browser *b, const char *origin)
{
    json_t *all = evaluate(b, "performance.getEntriesByType('resource').map((e) => e.name)");
    const json_t *one;
    size_t i, n = strlen(origin);
    json_array_foreach(all, i, one)
    {
        const char *address = json_string_value(one);
        if (strncmp(address, "data:", 5) == 0) continue;
        if (n == 0 || strncmp(address, origin, n) != 0 || address[n] != '/')
            fail_msg("the page asked for %s", address);
    }
    json_decref(all);
}

void browser_picture(struct browser *b, const char *name)
{
    char path[HARNESS_PATH_BYTES + 64], address[ADDRESS_BYTES], command[4 * HARNESS_PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s.png", b->run->dir, name);
    snprintf(address, sizeof address, "%s/screenshot", b->session);
    snprintf(command, sizeof command,
             "curl -s '%s' | sed 's/^{\"value\":\"//; s/\"}$//' | base64 -d >'%s'", address, path);
    assert_int_equal(run_command(b->run, SECONDS, "/bin/sh", "-c", command, NULL), 0);
}
