/* `sluice browse` as people and strangers meet it: real sockets, a real Chromium, a tiny model. */
#include "base/fileio.h"
#include "inspect/index.h"
#include "inspect/vocabulary.h"
#include "sae/export/export.h"
#include "tests/e2e/browser.h"
#include "tests/unit/inspect/tiny_subject.h"

#include <jansson.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { SECONDS = 60, FEATURE = 3, PHONE_PIXELS = 390 };

static char sae[2 * HARNESS_PATH_BYTES], model[2 * HARNESS_PATH_BYTES];
static char corpus[2 * HARNESS_PATH_BYTES], made[2 * HARNESS_PATH_BYTES];
static const char hostile[] =
    "<img src=x onerror=\"document.title='run'\"><script>alert(1)</script>";

struct served {
    pid_t pid;
    char address[256]; /* with the token */
    char origin[64];   /* http://127.0.0.1:PORT */
    char cookie[128];
};

/* ---- an index ---- */

static int make_sae(const char *path, double scale)
{
    struct subject subject;
    struct export_options options = {.model_name = "tiny", .hook_name = "resid_post.1"};
    tiny_subject("resid_post.1", &subject);
    for (size_t i = 0; i < TINY_WIDTH; i++) subject.model.encoder->w.w_enc[i] *= (float)scale;
    int result = export_saelens(model_view(&subject.model), &options, path);
    subject_close(&subject);
    return result;
}

/* Token 'e' is something else: a vocabulary is anybody's, too. */
static size_t hostile_text(const void *of, int32_t token, char *out, size_t bytes)
{
    size_t n;
    const char *text = index_token(of, token, &n);
    if (n == 1 && *text == 'e') {
        text = hostile;
        n = sizeof hostile - 1;
    }
    assert_true(n < bytes);
    memcpy(out, text, n);
    return n;
}

static void make_hostile(void)
{
    struct index index;
    assert_int_equal(index_open(made, &index), ERR_OK);
    struct index_facts facts = index.facts;
    const struct texts texts = {(int32_t)facts.tokens, hostile_text, &index};
    assert_int_equal(vocabulary_write(made, &texts, &facts), ERR_OK);
    assert_int_equal(index_facts_write(made, &facts), ERR_OK);
    index_close(&index);
}

static int set_up(void **state)
{
    if (run_set_up(state) != 0) return -1;
    struct run *run = *state;
    struct tiny tiny = {.architecture = "llama", .layers = TINY_LAYERS};
    snprintf(sae, sizeof sae, "%s/sae", run->dir);
    snprintf(model, sizeof model, "%s/tiny.gguf", run->dir);
    snprintf(corpus, sizeof corpus, "%s/corpus.txt", run->dir);
    snprintf(made, sizeof made, "%s/index", run->dir);
    tiny_write(model, &tiny);
    char *text = make_text(3, 600);
    run_write(run, "corpus.txt", text);
    free(text);
    if (make_sae(sae, 1) != ERR_OK) return -1;
    int code = run_command(run, SECONDS, "sluice", "inspect", sae, made, "--model", model,
                           "--exact-model", "--corpus", corpus, "--context", "64", NULL);
    if (code != 0) fail_msg("inspect: %s", run->err);
    return 0;
}

/* ---- a server ---- */

static void take_address(struct run *run, struct served *s)
{
    char path[HARNESS_PATH_BYTES + 32], *text = NULL;
    size_t bytes;
    snprintf(path, sizeof path, "%s/browse.out", run->dir);
    for (int look = 0; look < 1200; look++, harness_sleep(0.05)) {
        free(text);
        text = NULL;
        if (file_read(path, 1 << 16, &text, &bytes) == ERR_OK && strstr(text, "token=") &&
            strchr(strstr(text, "token="), '\n'))
            break;
    }
    const char *at = text ? strstr(text, "http://") : NULL;
    if (!at) fail_msg("no address: %s", text ? text : "");
    snprintf(s->address, sizeof s->address, "%.*s", (int)strcspn(at, "\n"), at);
    snprintf(s->origin, sizeof s->origin, "%.*s", (int)(strstr(at, "/?") - at), at);
    snprintf(s->cookie, sizeof s->cookie, "sluice-browse-%s=%s", strrchr(s->origin, ':') + 1,
             strstr(s->address, "token=") + strlen("token="));
    free(text);
}

static void serve(struct run *run, struct served *s, const char *of)
{
    s->pid = of ? run_start(run, "browse", "sluice", "browse", made, of, "--model", model,
                            "--exact-model", NULL)
                : run_start(run, "browse", "sluice", "browse", made, NULL);
    take_address(run, s);
}

static void stop(struct served *s)
{
    kill(s->pid, SIGTERM);
    assert_int_equal(run_wait(s->pid, SECONDS), 0);
}

/* curl, whose last argument is the path; the status, and the answer in run->out. */
static int curl(struct run *run, const struct served *s, const char *const *more, const char *path)
{
    char address[512], *argv[24];
    size_t n = 0;
    snprintf(address, sizeof address, "%s%s", s->origin, path);
    while (more && more[n]) {
        argv[n] = (char *)(uintptr_t)more[n];
        n++;
    }
    while (n < 8) argv[n++] = "--compressed"; /* no harm, and a fixed count */
    int code = run_command(run, SECONDS, "/usr/bin/curl", "-s", "-i", argv[0], argv[1], argv[2],
                           argv[3], argv[4], argv[5], argv[6], argv[7], address, NULL);
    if (code != 0) fail_msg("curl ends with %d for %s", code, path);
    const char *at = strstr(run->out, "HTTP/1.1 ");
    return at ? atoi(at + strlen("HTTP/1.1 ")) : 0;
}
#define CURL(run, s, path, ...) curl(run, s, (const char *const[]){__VA_ARGS__, NULL}, path)

#define POST(path, body)        CURL(run, &s, path, "-b", s.cookie, "-H", origin, "--data-binary", body)

/* ---- who may ---- */

static void only_who_knows_the_token_comes_in(void **state)
{
    struct run *run = *state;
    struct served s;
    serve(run, &s, NULL);
    static const char *const paths[] = {"/",        "/index.json", "/features.data", "/labels.tsv",
                                        "/api/can", "/page.js",    "/healthz",       "/nothing"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        assert_int_equal(curl(run, &s, NULL, paths[i]), 403);
    assert_int_equal(curl(run, &s, NULL, "/?token=00000000000000000000000000000000"), 403);
    assert_int_equal(curl(run, &s, NULL, "/?token="), 403);
    assert_int_equal(curl(run, &s, NULL, strstr(s.address, "/?")), 303);
    harness_has(run->out, "HttpOnly; SameSite=Strict");
    harness_has(run->out, s.cookie);
    harness_has(run->out, "Location: /");
    assert_int_equal(CURL(run, &s, "/", "-b", s.cookie), 200);
    harness_has(run->out, "Content-Security-Policy: default-src 'none'");
    assert_int_equal(CURL(run, &s, "/index.json", "-b", s.cookie), 200);
    /* the token is no cookie's business elsewhere, nor any path's */
    char with_token[256];
    snprintf(with_token, sizeof with_token, "/index.json%s", strstr(s.address, "/?") + 1);
    assert_int_equal(curl(run, &s, NULL, with_token), 403);
    stop(&s);
}

static void pages_of_others_do_not(void **state)
{
    struct run *run = *state;
    struct served s;
    char host[128], origin[128];
    serve(run, &s, NULL);
    const char *port = strrchr(s.origin, ':') + 1;
    snprintf(host, sizeof host, "Host: evil.example:%s", port);
    assert_int_equal(CURL(run, &s, "/index.json", "-b", s.cookie, "-H", host), 403);
    assert_int_equal(CURL(run, &s, "/index.json", "-b", s.cookie, "-H", "Host: 127.0.0.1:1"), 403);
    assert_int_equal(CURL(run, &s, "/index.json", "-b", s.cookie, "-H", "Host: 127.0.0.1"), 403);
    snprintf(host, sizeof host, "Host: localhost:%s", port);
    assert_int_equal(CURL(run, &s, "/index.json", "-b", s.cookie, "-H", host), 200);
    assert_int_equal(
        CURL(run, &s, "/index.json", "-b", s.cookie, "-H", "Origin: http://evil.example"), 403);
    assert_int_equal(CURL(run, &s, "/index.json", "-b", s.cookie, "-H", "Origin: null"), 403);
    snprintf(origin, sizeof origin, "Origin: %s", s.origin);
    assert_int_equal(CURL(run, &s, "/index.json", "-b", s.cookie, "-H", origin), 200);
    /* what changes something says where it comes from */
    const char *label = "{\"feature\": 1, \"text\": \"mine\"}";
    assert_int_equal(CURL(run, &s, "/api/label", "-b", s.cookie, "-d", label), 403);
    assert_int_equal(CURL(run, &s, "/api/label", "-b", s.cookie, "-d", label, "-H", origin), 200);
    stop(&s);
}

/* Another user of this machine, who has found the address in a terminal's history. */
static void another_user_does_not(void **state)
{
    struct run *run = *state;
    struct served s;
    char path[2 * HARNESS_PATH_BYTES + 32], address[256];
    struct stat st;
    if (getuid() != 0) {
        print_message("no other user can be had without root\n");
        skip();
    }
    serve(run, &s, NULL);
    snprintf(address, sizeof address, "%s/index.json", s.origin);
    int code = run_command(run, SECONDS, "/usr/bin/setpriv", "--reuid", "65534", "--clear-groups",
                           "/usr/bin/curl", "-s", "-i", "-b", s.cookie, address, NULL);
    assert_int_equal(code, 0);
    harness_has(run->out, "403");
    harness_has(run->out, "another user");
    static const char *const files[] = {"index.json", "features.data", "tokens.table", "page.js"};
    for (size_t i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/%s", made, files[i]);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
    stop(&s);
}

/* ---- what is asked ---- */

static void requests_are_bounded(void **state)
{
    struct run *run = *state;
    struct served s;
    char origin[128], at[HARNESS_PATH_BYTES + 32];
    serve(run, &s, sae);
    snprintf(origin, sizeof origin, "Origin: %s", s.origin);
    assert_int_equal(CURL(run, &s, "/features.data", "-b", s.cookie, "-r", "2-5"), 206);
    harness_has(run->out, "Content-Range: bytes 2-5/");
    harness_has(run->out, "Content-Length: 4");
    assert_int_equal(CURL(run, &s, "/features.data", "-b", s.cookie, "-r", "999999999-"), 416);
    assert_int_equal(CURL(run, &s, "/nothing", "-b", s.cookie), 404);
    assert_int_equal(CURL(run, &s, "/work", "-b", s.cookie), 404);
    assert_int_equal(CURL(run, &s, "/../sae/cfg.json", "-b", s.cookie, "--path-as-is"), 404);
    assert_int_equal(CURL(run, &s, "/%2e%2e/sae/cfg.json", "-b", s.cookie, "--path-as-is"), 404);
    assert_int_equal(CURL(run, &s, "/api/label", "-b", s.cookie), 405);
    assert_int_equal(CURL(run, &s, "/", "-b", s.cookie, "-H", origin, "-d", "x"), 405);
    assert_int_equal(CURL(run, &s, "/", "-b", s.cookie, "-H", origin, "-X", "DELETE"), 405);
    assert_int_equal(POST("/api/label", "no JSON"), 400);
    assert_int_equal(POST("/api/label", "{\"feature\": 24, \"text\": \"x\"}"), 400);
    harness_has(run->out, "there is no feature 24");
    assert_int_equal(POST("/api/label", "{\"feature\": -1, \"text\": \"x\"}"), 400);
    assert_int_equal(POST("/api/label", "{\"feature\": 1, \"text\": \"a\\tb\"}"), 400);
    assert_int_equal(POST("/api/label", "{\"feature\": 1, \"text\": 7}"), 400);
    char *text = malloc(20000);
    memset(text, 'a', 19999);
    text[19999] = '\0';
    run_write(run, "big.txt", text);
    snprintf(at, sizeof at, "@%s/big.txt", run->dir);
    assert_int_equal(POST("/api/text", at), 413);
    text[2000] = '\0';
    run_write(run, "big.txt", text);
    assert_int_equal(POST("/api/text", at), 400); /* more tokens than are run */
    text[0] = '\xff';
    text[1] = '\0';
    run_write(run, "big.txt", text);
    assert_int_equal(POST("/api/text", at), 400);
    harness_has(run->out, "UTF-8");
    free(text);
    assert_int_equal(POST("/api/text", "abc"), 200);
    harness_has(run->out, "\"features\":[[");
    snprintf(at, sizeof at, "%s/index/features.table", run->dir);
    assert_int_equal(unlink(at), 0);
    assert_int_equal(CURL(run, &s, "/features.table", "-b", s.cookie), 500);
    harness_has(run->out, "features.table is missing");
    assert_int_equal(CURL(run, &s, "/labels.tsv", "-b", s.cookie), 200);
    stop(&s);
}

/* What cannot be is told before anything is served. */
static void what_cannot_be_is_refused(void **state)
{
    struct run *run = *state;
    char other[2 * HARNESS_PATH_BYTES];
    snprintf(other, sizeof other, "%s/other", run->dir);
    assert_int_equal(make_sae(other, 2), ERR_OK);
    const struct {
        const char *index, *sae, *address, *words;
    } all[] = {
        {made, other, NULL, "is not the SAE of this index"},
        {made, "/nowhere", NULL, "/nowhere"},
        {sae, NULL, NULL, "no feature index"},
        {made, NULL, "off", "no address to listen at"},
        {made, NULL, "0.0.0.0:0", "HINT"},
        {made, NULL, "foo", "HINT"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        int code = all[i].sae ? run_command(run, SECONDS, "sluice", "browse", all[i].index,
                                            all[i].sae, "--model", model, NULL)
                   : all[i].address
                       ? run_command(run, SECONDS, "sluice", "browse", all[i].index, "--address",
                                     all[i].address, NULL)
                       : run_command(run, SECONDS, "sluice", "browse", all[i].index, NULL);
        if (code != 2) fail_msg("exit code %d for '%s': %s", code, all[i].words, run->err);
        harness_has(run->err, all[i].words);
    }
}

/* ---- a person ---- */

static void come_in(struct run *run, struct browser *b, struct served *s, const char *of)
{
    serve(run, s, of);
    browser_open(run, b);
    browser_screen(b, 1280, 900, 0);
    browser_go(b, s->address);
    browser_await(b, "document.body.dataset.ready === 'true'");
}

static void a_person_looks_around(void **state)
{
    struct run *run = *state;
    struct browser b;
    struct served s;
    char address[256], *labels;
    size_t bytes;
    come_in(run, &b, &s, sae);
    assert_null(strstr(browser_text(&b, "location.href"), "token"));
    harness_has(browser_text(&b, "document.getElementById('count').textContent"), "features");
    /* search by number, then by Enter to the page */
    browser_type(&b, "#search", "3");
    browser_type(&b, "#search", "\xee\x80\x87"); /* Enter */
    browser_await(&b, "document.querySelector('h2')?.textContent === 'Feature 3'");
    browser_await(&b, "document.querySelectorAll('.contexts li').length > 5");
    browser_await(&b, "document.querySelectorAll('#feature svg').length === 2");
    browser_picture(&b, "desktop-light");
    /* a neighbour, and keys */
    browser_click(&b, ".pairs a");
    browser_await(&b, "document.querySelector('h2').textContent !== 'Feature 3'");
    browser_script(&b, "document.getElementById('search').value = '';"
                       "document.getElementById('search').dispatchEvent(new Event('input'));"
                       "document.activeElement.blur();");
    browser_key(&b, "j");
    browser_key(&b, "j");
    browser_await(&b, "document.querySelectorAll('#rows a')[1].getAttribute('aria-current') === "
                      "'true' || location.hash.length > 1");
    /* a label is kept, and searched */
    snprintf(address, sizeof address, "%s/#%d", s.origin, FEATURE);
    browser_go(&b, address);
    browser_await(&b, "document.querySelector('h2')?.textContent === 'Feature 3'");
    browser_type(&b, "#label", "<b>vowels</b>");
    browser_type(&b, "#label", "\xee\x80\x87");
    browser_await(&b, "document.querySelector('a[data-feature=\"3\"]').textContent.includes("
                      "'<b>vowels</b>')");
    char path[2 * HARNESS_PATH_BYTES + 32];
    snprintf(path, sizeof path, "%s/labels.tsv", made);
    assert_int_equal(file_read(path, 1 << 16, &labels, &bytes), ERR_OK);
    assert_string_equal(labels, "3\t<b>vowels</b>\n");
    free(labels);
    browser_script(&b, "document.activeElement.blur();");
    browser_type(&b, "#search", "vowel");
    browser_await(&b, "document.querySelectorAll('#rows a').length === 1");
    /* a text */
    browser_click(&b, "#text-open");
    browser_type(&b, "#text-input", "hello there");
    browser_click(&b, "#text-run");
    browser_await(&b, "document.querySelectorAll('#text-answer .words button').length >= 9");
    browser_await(&b, "document.querySelectorAll('#text-answer table a').length > 3");
    browser_picture(&b, "desktop-text");
    browser_click(&b, "#text-answer table a");
    browser_await(&b, "!document.querySelector('dialog[open]')");
    browser_asked_only(&b, s.origin);
    /* no such feature */
    snprintf(address, sizeof address, "%s/#99", s.origin);
    browser_go(&b, address);
    browser_await(&b, "document.getElementById('feature').textContent.includes("
                      "'There is no feature 99: they are 0 to 23')");
    browser_close(&b);
    stop(&s);
}

static void it_fits_a_phone_and_the_dark(void **state)
{
    struct run *run = *state;
    struct browser b;
    struct served s;
    come_in(run, &b, &s, NULL);
    browser_prefers(&b, 1);
    browser_screen(&b, PHONE_PIXELS, 844, 1);
    browser_await(&b, "document.documentElement.scrollWidth <= innerWidth");
    browser_await(&b, "getComputedStyle(document.getElementById('feature')).display === 'none'");
    browser_picture(&b, "phone-list");
    browser_click(&b, "#rows a");
    browser_await(&b, "document.querySelectorAll('.contexts li').length > 5");
    browser_await(&b, "getComputedStyle(document.getElementById('list')).display === 'none'");
    browser_await(&b, "document.documentElement.scrollWidth <= innerWidth");
    browser_await(&b, "parseInt(getComputedStyle(document.documentElement).backgroundColor."
                      "match(/\\d+/)[0]) < 60");
    browser_picture(&b, "phone-dark");
    browser_click(&b, "#theme");
    browser_await(&b, "parseInt(getComputedStyle(document.documentElement).backgroundColor."
                      "match(/\\d+/)[0]) > 200");
    browser_click(&b, ".back");
    browser_await(&b, "getComputedStyle(document.getElementById('feature')).display === 'none'");
    /* without an SAE texts are not run, and the page says why */
    browser_click(&b, "#text-open");
    browser_await(&b, "document.getElementById('text-note').textContent.includes('sluice browse')");
    browser_await(&b, "document.getElementById('text-run').disabled");
    browser_close(&b);
    stop(&s);
}

/* Addresses that a person wrote, and what the tab is called. */
static void a_person_goes_astray(void **state)
{
    struct run *run = *state;
    struct browser b;
    struct served s;
    static const char *const others[] = {"%", "03", "1e1", "-1", "99999999999", "<b>"};
    char script[256];
    come_in(run, &b, &s, NULL);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        snprintf(script, sizeof script, "location.hash = '%s';", others[i]);
        json_decref(browser_script(&b, script));
        browser_await(&b, "document.getElementById('feature').textContent.includes("
                          "`There is no feature ${location.hash.slice(1)}:`)");
    }
    json_decref(browser_script(&b, "location.hash = '3';"));
    browser_await(&b, "document.querySelectorAll('.contexts li').length > 5");
    browser_await(&b, "document.title.startsWith('3 ')");
    browser_await(&b, "document.getElementById('said').textContent.startsWith('Feature 3, fires')");
    browser_click(&b, "#label");
    browser_type(&b, "#label", "mine\n");
    browser_await(&b, "document.title.startsWith('3 mine')");
    /* what turns the text around it is seen, and does not */
    json_decref(browser_script(&b, "source.labels.set(3, 'a\\u202eb'); findAll();"));
    browser_await(&b, "document.getElementById('rows').textContent.includes('a\\ufffdb')");
    json_decref(browser_script(&b, "location.hash = '';"));
    browser_await(&b, "document.title.endsWith('features')");
    browser_close(&b);
    stop(&s);
}

/* Who asks for more of a list goes on reading where he was. */
static void a_long_list_stays_in_place(void **state)
{
    struct run *run = *state;
    struct browser b;
    struct served s;
    come_in(run, &b, &s, NULL);
    json_decref(browser_script(
        &b, "for (let f = 24; f < 131072; f++) source.entries.push({...source.entries[3], "
            "feature: f});"
            "document.getElementById('sort').value = 'number'; findAll(); location.hash = '3';"));
    browser_await(&b, "document.querySelector('#rows a[aria-current]')?.dataset.feature === '3'");
    json_decref(browser_script(&b, "document.getElementById('list').scrollTop = 1e6;"));
    browser_click(&b, "#more");
    browser_await(&b, "document.querySelectorAll('#rows a').length === 400");
    browser_await(&b, "document.getElementById('list').scrollTop > 2000");
    browser_await(&b, "document.querySelectorAll('#rows a[aria-current]').length === 1");
    browser_close(&b);
    stop(&s);
}

/* Of a text on what it stands on, as WCAG reckons it; what is half transparent stands on the ground. */
#define CONTRAST                                                                                   \
    "const rgba = (text) => { const n = text.match(/[\\d.]+/g).map(Number);"                       \
    "  return n.length < 4 ? [...n, 1] : n; };"                                                    \
    "const light = (c) => [0.2126, 0.7152, 0.0722].reduce((sum, share, i) => sum + share * "       \
    "  (c[i] / 255 <= 0.04045 ? c[i] / 255 / 12.92 : ((c[i] / 255 + 0.055) / 1.055) ** 2.4), 0);"  \
    "const contrast = (e) => {"                                                                    \
    "  const ground = rgba(getComputedStyle(document.documentElement).backgroundColor);"           \
    "  const on = rgba(getComputedStyle(e).backgroundColor), ink = "                               \
    "rgba(getComputedStyle(e).color);"                                                             \
    "  const mixed = on.slice(0, 3).map((c, i) => on[3] * c + (1 - on[3]) * ground[i]);"           \
    "  const [a, b] = [light(mixed), light(ink)].sort((x, y) => y - x);"                           \
    "  return (a + 0.05) / (b + 0.05); };"                                                         \
    "return Math.min(...[...document.querySelectorAll('.words span, .token, .facts, .share, a')]"  \
    "  .filter((e) => e.offsetParent).map(contrast));"

static void it_can_be_read(void **state)
{
    struct run *run = *state;
    struct browser b;
    struct served s;
    come_in(run, &b, &s, NULL);
    json_decref(browser_script(&b, "location.hash = '3';"));
    browser_await(&b, "document.querySelectorAll('.contexts li').length > 5");
    for (int is_dark = 0; is_dark < 2; is_dark++) {
        browser_prefers(&b, is_dark);
        json_t *least = browser_script(&b, CONTRAST);
        if (!(json_number_value(least) >= 4.5))
            fail_msg("%s: a contrast of %g", is_dark ? "dark" : "light", json_number_value(least));
        json_decref(least);
    }
    browser_close(&b);
    stop(&s);
}

/* Texts of tokens and labels are never HTML. */
static void nothing_of_a_text_is_run(void **state)
{
    struct run *run = *state;
    struct browser b;
    struct served s;
    make_hostile();
    come_in(run, &b, &s, NULL);
    browser_script(&b, "location.hash = 3;");
    browser_await(&b, "document.getElementById('feature').textContent.includes('<img src=x')");
    browser_await(&b, "document.getElementById('rows').textContent.includes('<img src=x') || "
                      "document.getElementById('feature').textContent.includes('<script>')");
    browser_await(&b, "document.querySelectorAll('img').length === 0");
    browser_await(&b, "document.title !== 'run'");
    browser_close(&b);
    stop(&s);
}

/* ---- without a program ---- */

static void a_plain_web_server_will_do(void **state)
{
    struct run *run = *state;
    struct browser b;
    char address[128], path[HARNESS_PATH_BYTES + 32], *text = NULL;
    size_t bytes;
    int port = 0;
    pid_t python = run_start(run, "python", "/usr/bin/python3", "-u", "-m", "http.server", "0",
                             "--bind", "127.0.0.1", "--directory", made, NULL);
    snprintf(path, sizeof path, "%s/python.out", run->dir);
    for (int look = 0; look < 1200 && !port; look++, harness_sleep(0.05)) {
        free(text);
        text = NULL;
        if (file_read(path, 1 << 16, &text, &bytes) == ERR_OK && strstr(text, " port "))
            port = atoi(strstr(text, " port ") + 6);
    }
    free(text);
    assert_int_not_equal(port, 0);
    browser_open(run, &b);
    snprintf(address, sizeof address, "http://127.0.0.1:%d/#3", port);
    browser_go(&b, address);
    browser_await(&b, "document.querySelectorAll('.contexts li').length > 5");
    browser_click(&b, "#text-open");
    browser_await(&b, "document.getElementById('text-note').textContent.includes('served as "
                      "files')");
    browser_close(&b);
    kill(python, SIGTERM);
    run_wait(python, SECONDS);
}

static void a_single_file_needs_nothing(void **state)
{
    struct run *run = *state;
    struct browser b;
    char file[HARNESS_PATH_BYTES + 32], address[HARNESS_PATH_BYTES + 64];
    char labels[2 * HARNESS_PATH_BYTES + 32];
    make_hostile();
    snprintf(file, sizeof file, "%s/some.html", run->dir);
    assert_int_equal(
        run_command(run, SECONDS, "sluice", "features", "label", made, "3", "</script><b>x", NULL),
        0);
    snprintf(labels, sizeof labels, "%s/labels.tsv", made);
    FILE *out = fopen(labels, "a");
    assert_non_null(out);
    fputs("5\tcaf\xe9\n", out); /* no UTF-8 */
    fclose(out);
    assert_int_equal(run_command(run, SECONDS, "sluice", "browse", made, "--single-file", file,
                                 "--features", "3,5,3", NULL),
                     0);
    assert_int_equal(run_command(run, SECONDS, "sluice", "browse", made, "--single-file", file,
                                 "--features", "3,5", NULL),
                     1);
    harness_has(run->err, "is there already");
    assert_int_equal(run_command(run, SECONDS, "sluice", "browse", made, "--single-file", file,
                                 "--features", "3,24", NULL),
                     2);
    harness_has(run->err, "no feature 24");
    browser_open(run, &b);
    snprintf(address, sizeof address, "file://%s#3", file);
    browser_go(&b, address);
    browser_await(&b, "document.querySelectorAll('.contexts li').length > 5");
    browser_await(&b, "document.querySelectorAll('#rows a').length === 2");
    browser_await(&b, "document.querySelector('.label').textContent === '</script><b>x'");
    browser_await(&b, "document.querySelectorAll('img').length === 0 && document.title !== 'run'");
    browser_await(&b, "document.getElementById('rows').textContent.includes('caf\\ufffd')");
    browser_picture(&b, "single");
    browser_script(&b, "location.hash = 7;");
    browser_await(&b, "document.getElementById('feature').textContent.includes('not in this "
                      "file')");
    browser_asked_only(&b, "");
    browser_close(&b);
}

/* A sheet that was changed is told, and the others are there. */
static void damage_is_told(void **state)
{
    struct run *run = *state;
    struct browser b;
    struct served s;
    char path[2 * HARNESS_PATH_BYTES + 32];
    come_in(run, &b, &s, NULL);
    snprintf(path, sizeof path, "%s/features.data", made);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fwrite("damaged", 1, 7, file), 7); /* the first feature's */
    fclose(file);
    browser_script(&b, "location.hash = 0;");
    browser_await(&b, "document.getElementById('feature').textContent.includes('is damaged')");
    browser_script(&b, "location.hash = 3;");
    browser_await(&b, "document.querySelectorAll('.contexts li').length > 5");
    browser_close(&b);
    stop(&s);
    assert_int_equal(truncate(path, 100), 0);
    assert_int_equal(run_command(run, SECONDS, "sluice", "browse", made, NULL), 1);
    harness_has(run->err, "features.data");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, browser_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(only_who_knows_the_token_comes_in),
        TEST(pages_of_others_do_not),
        TEST(another_user_does_not),
        TEST(requests_are_bounded),
        TEST(what_cannot_be_is_refused),
        TEST(a_person_looks_around),
        TEST(it_fits_a_phone_and_the_dark),
        TEST(a_person_goes_astray),
        TEST(a_long_list_stays_in_place),
        TEST(it_can_be_read),
        TEST(nothing_of_a_text_is_run),
        TEST(a_plain_web_server_will_do),
        TEST(a_single_file_needs_nothing),
        TEST(damage_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
