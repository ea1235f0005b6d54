/*
 * The broker's live page as people meet it: a real Chromium, over a pipeline that runs. The tests share
 * both, and stand in the order in which they run: the last one kills the broker.
 */
#include "base/err.h"
#include "base/fileio.h"
#include "tests/e2e/browser.h"

#include <jansson.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
/* cmocka wants the above first */
#include <cmocka.h>

enum { SECONDS = 60, MOST_BYTES = 1000000, PHONE_PIXELS = 360, SAES = 3, CHARTS = 13 };

static const char pipeline[] =
    "capture:\n"
    "  engine: synthetic\n"
    "  measure_contexts: 4\n"
    "  producers: 2\n"
    "  synthetic: { features: 64, width: 64, l0: 4, rows: 1000000000, sequence_rows: 64 }\n"
    "sink: { size: 16MiB }\n"
    "trainer:\n"
    "  batch_rows: 512\n"
    "  eval_rows: 1000\n"
    "  saes: [ { name: one, arch: topk, features: [64, 128], k: 4 },\n"
    "          { name: two, arch: batchtopk, features: 64, k: 8 } ]\n";

static struct browser b;
static pid_t up;
static char origin[64], address[80];

/* ---- the pipeline, and a browser at its page ---- */

/* What RUN/http/broker says; 0: it is not there. */
static int read_origin(const struct run *run, char *out)
{
    char path[HARNESS_PATH_BYTES + 32], *text;
    size_t bytes;
    snprintf(path, sizeof path, "%s/http/broker", run->state);
    if (file_read(path, 63, &text, &bytes) != ERR_OK) return 0;
    snprintf(out, sizeof origin, "http://%.*s", (int)strcspn(text, "\n"), text);
    free(text);
    return 1;
}

static void visit(void)
{
    browser_go(&b, address);
    browser_await(&b, "document.querySelector('[data-key=trained_rows_per_second]')"
                      ".dataset.value > 0");
    browser_await(&b, "document.querySelectorAll('#chart-rows canvas').length > 0");
}

static int set_up(void **state)
{
    char sluice[HARNESS_PATH_BYTES];
    if (run_set_up(state) != 0) return -1;
    struct run *run = *state;
    run_configure(run, "", pipeline);
    run_program("sluice", sluice);
    /* The page is looked at beside programs that would take every processor. */
    up = run_start(run, "up", "/usr/bin/nice", "-n", "15", sluice, "up", run->config, NULL);
    for (int look = 0; look < 600 && !read_origin(run, origin); look++) harness_sleep(0.1);
    if (!origin[0]) {
        fprintf(stderr, "the broker did not tell its address in %s/http/broker in 60 s\n",
                run->state);
        return -1;
    }
    snprintf(address, sizeof address, "%s/", origin);
    run_await_drawn(run, "main", 1, SECONDS);
    browser_open(run, &b);
    browser_screen(&b, 1280, 900, 0);
    browser_before(&b, "window.wrong = [];"
                       "addEventListener('securitypolicyviolation', (e) => wrong.push("
                       "  `${e.violatedDirective} ${e.blockedURI} ${e.sourceFile}`));"
                       "addEventListener('error', (e) => wrong.push(e.message), true);"
                       "addEventListener('unhandledrejection', (e) => wrong.push(`${e.reason}`));");
    visit();
    return 0;
}

static int tear_down(void **state)
{
    if (b.run) browser_close(&b);
    kill(up, SIGCONT); /* a test that failed may have left it stopped */
    kill(up, SIGTERM);
    run_wait(up, SECONDS);
    return browser_tear_down(state);
}

static void script(const char *body)
{
    json_decref(browser_script(&b, body));
}

static double number(const char *expression)
{
    char *body;
    if (asprintf(&body, "return (%s);", expression) < 0) fail();
    json_t *value = browser_script(&b, body);
    free(body);
    if (!json_is_number(value)) fail_msg("no number: %s", expression);
    double n = json_number_value(value);
    json_decref(value);
    return n;
}

/* ---- what it shows ---- */

static void it_shows_the_whole_pipeline(void **state)
{
    (void)state;
    browser_await(&b, "document.getElementById('name').textContent === 'test'");
    browser_await(&b, "document.getElementById('state').textContent === 'running'");
    browser_await(&b,
                  "['capture-0', 'capture-1', 'broker', 'sink', 'buffer', 'trainer-main'].every("
                  "(n) => [...document.querySelectorAll('#map .name')].some("
                  "(e) => e.textContent === n))");
    browser_await(&b, "document.querySelectorAll('#map .arrow').length === 5");
    browser_await(&b, "document.querySelectorAll('#process-rows tr').length === 5");
    browser_await(&b, "document.getElementById('advice').textContent.length > 20");
    char text[80];
    snprintf(text, sizeof text, "document.querySelectorAll('.chart').length === %d", CHARTS);
    browser_await(&b, text);
    snprintf(text, sizeof text, "document.querySelectorAll('#sae-rows tr').length === %d", SAES);
    browser_await(&b, text);
}

/* Shows the document that /api/status gives at this moment, and tells both. */
#define SHOW_ONE                                                                                   \
    "return import('/page.js').then(async (page) => {"                                             \
    "  const status = await (await fetch('/api/status')).json();"                                  \
    "  page.show(status);"                                                                         \
    "  const at = (what, key) => Object.fromEntries([...document.querySelectorAll(what)]"          \
    "    .map((e) => [key(e), e.dataset.value]));"                                                 \
    "  return { status, overview: at('[data-key]', (e) => e.dataset.key),"                         \
    "    saes: at('[data-sae]', (e) => e.dataset.sae.split('/')[2] + ' ' + e.dataset.number),"     \
    "    processes: at('[data-process]', (e) => e.dataset.process + ' ' + e.dataset.number) }; })"

static void same_number(const char *what, const json_t *shown, const json_t *value)
{
    const char *text = json_string_value(shown);
    if (!text) fail_msg("%s is not shown", what);
    if (!json_is_number(value)) {
        if (text[0]) fail_msg("%s is shown as %s, and nobody says", what, text);
        return;
    }
    if (!text[0] || strtod(text, NULL) != json_number_value(value))
        fail_msg("%s is %.17g, and shown as %s", what, json_number_value(value), text);
}

static void same_overview(const json_t *both)
{
    const json_t *overview = json_object_get(json_object_get(both, "status"), "overview");
    json_t *shown = json_object_get(both, "overview"), *text;
    const char *key;
    assert_true(json_object_size(shown) >= 15);
    json_object_foreach(shown, key, text)
    {
        if (!json_object_get(overview, key)) fail_msg("there is no %s", key);
        same_number(key, text, json_object_get(overview, key));
    }
}

static void same_report(const json_t *both, const json_t *process)
{
    const json_t *report = json_object_get(process, "report"), *value;
    char key[96];
    snprintf(key, sizeof key, "%s memory", json_string_value(json_object_get(process, "name")));
    same_number(key, json_object_get(json_object_get(both, "processes"), key),
                json_object_get(report, "sluice_process_memory_bytes"));
    static const char *const numbers[][2] = {{"loss", "sluice_trainer_loss"},
                                             {"fve", "sluice_trainer_fve_ratio"},
                                             {"l0", "sluice_trainer_l0"},
                                             {"features", "sluice_trainer_features"}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        const char *name;
        json_object_foreach(json_object_get(report, numbers[i][1]), name, value)
        {
            snprintf(key, sizeof key, "%s %s", name, numbers[i][0]);
            same_number(key, json_object_get(json_object_get(both, "saes"), key), value);
        }
    }
}

/* Every number is the one of the document that it shows, to the last digit. */
static void its_numbers_are_those_of_the_status(void **state)
{
    const json_t *process;
    size_t i;
    (void)state;
    json_t *both = browser_script(&b, SHOW_ONE);
    same_overview(both);
    json_array_foreach(json_object_get(json_object_get(both, "status"), "processes"), i, process)
        same_report(both, process);
    assert_int_equal(i, 5);
    json_decref(both);
}

/* By itself it comes to what the broker says now, and not beyond. */
static void it_goes_on_by_itself(void **state)
{
    static const char ask[] = "fetch('/api/status').then((a) => a.json())"
                              ".then((s) => s.overview.trained_rows)";
    char reached[160];
    (void)state;
    double before = number(ask);
    snprintf(reached, sizeof reached,
             "Number(document.getElementById('progress-text').dataset.value) > %.17g", before);
    browser_await(&b, reached);
    double shown = number("Number(document.getElementById('progress-text').dataset.value)");
    assert_true(shown <= number(ask));
}

/* ---- what was ---- */

/* Goes a point back and forth until points are of more than a second: those of the hour are shown. */
static void await_wide_steps(void)
{
    static const char cursor[] = "Number(document.getElementById('cursor').dataset.value)";
    for (int look = 0; look < 300; look++) {
        browser_key(&b, "\xee\x80\x92"); /* left */
        double at = number(cursor);
        browser_key(&b, "\xee\x80\x94"); /* right */
        if (number(cursor) - at > 1.5) return;
        harness_sleep(0.1);
    }
    fail_msg("the points of the hour are not shown");
}

/* A page that was just opened tells of a time before. */
static void opened_late_it_shows_what_was(void **state)
{
    (void)state;
    harness_sleep(4);
    visit();
    script("document.querySelector('#chart-rows .plot').focus();");
    browser_key(&b, "\xee\x80\x92"); /* left */
    browser_await(&b, "document.getElementById('cursor').textContent !== ''");
    /* again and again: the page may be there before its history */
    browser_await(&b, "(() => { const at = () => document.getElementById('cursor').dataset.value;"
                      "  const is_before = () => at() * 1000 < performance.timeOrigin - 1500;"
                      "  for (let last = null; !is_before() && at() !== last;) { last = at();"
                      "    document.activeElement.dispatchEvent(new KeyboardEvent('keydown',"
                      "      { key: 'ArrowLeft', bubbles: true })); }"
                      "  return is_before(); })()");
    browser_await(&b, "/[0-9]/.test(document.querySelector("
                      "'#chart-rows [data-series=trained_rows_per_second] b').textContent)");
    /* one cursor over all charts */
    browser_await(&b, "['rows', 'bytes', 'fill'].every("
                      "(id) => !document.querySelector(`#chart-${id} .hair`).hidden)");
    /* which stays at its time where the points are others */
    script("window.at = Number(document.getElementById('cursor').dataset.value);");
    browser_key(&b, "2");
    browser_await(&b, "performance.getEntriesByType('resource').some("
                      "(e) => e.name.includes('from=-3600') && e.responseEnd > 0)");
    await_wide_steps();
    assert_true(number("Math.abs(document.getElementById('cursor').dataset.value - at)") < 20);
    browser_key(&b, "1");
    script("document.activeElement.blur();");
    browser_await(&b, "document.getElementById('cursor').textContent === ''");
}

/* A history of ours, which the page itself must not get: `of_us` are its series. */
#define PAST_OF(of_us, answer, then)                                                               \
    "return import('/past.js').then(async ({ Past }) => { const past = new Past();"                \
    "  const fetch_before = window.fetch, names = " of_us ";"                                      \
    "  past.series = new Set(names);"                                                              \
    "  window.fetch = async (path) => { const asked = new URLSearchParams(path.split('?')[1]);"    \
    "    if (path.endsWith('/series')) return new Response(JSON.stringify({ series: names }));"    \
    "    return names.includes((asked.get('series') || '').split(',')[0]) ?"                       \
    "      new Response(JSON.stringify((" answer ")(asked))) : fetch_before(path); };" then "  })"

/* Where nobody said anything there is nothing, and no number is made up for null. */
static void gaps_are_gaps(void **state)
{
    (void)state;
    json_t *column = browser_script(
        &b, "return import('/past.js').then(({ Past }) => { const past = new Past();"
            "  for (const [at, value] of [[100, 1], [101, 2], [103, 3], [110, 4], [111, null]]) {"
            "    past.now = () => at + 0.5;"
            "    past.add(new Map([['a', value]]));"
            "  }"
            "  return JSON.stringify(past.column('a')); })");
    assert_string_equal(json_string_value(column),
                        "[1,2,3,3,null,null,null,null,null,null,4,null]");
    json_decref(column);
    /* what a person has gone back to stays, whatever comes now; and the broker's clock is the one that counts */
    json_t *back = browser_script(
        &b, PAST_OF("['a']", "() => ({ from: 1000, step_seconds: 1, series: { a: [1, 2] } })",
                    "await past.read(['a', 'unknown'], 1000, 1002);"
                    "past.add(new Map([['a', 7]]));"
                    "const kept = JSON.stringify(past.column('a'));"
                    "await past.read(['a'], -2);"
                    "window.fetch = fetch_before;"
                    "return `${kept} ${Math.round(past.now() / 60)}`;"));
    assert_string_equal(json_string_value(back), "[1,2] 17");
    json_decref(back);
    /* a rate is the mean of the last five, of those that are known */
    json_t *rates = browser_script(
        &b, "return import('/status.js').then(({ note, work }) => {"
            "  const sink = (rate) => ({ name: 'sink-x', kind: 'sink', age_seconds: 0,"
            "    rates: rate === null ? undefined : { sluice_sink_rows_total: rate } });"
            "  const told = [null, 5, 1, 2, 3, 4, 5].map((rate) => { const p = sink(rate);"
            "    note({ processes: [p] }); return work(p); });"
            "  return JSON.stringify([...told, work({ ...sink(9), age_seconds: 9 })]); })");
    assert_string_equal(json_string_value(rates), "[null,5,3,2.6666666666666665,2.75,3,3,0]");
    json_decref(rates);
    json_t *texts = browser_script(
        &b,
        "return import('/number.js').then(({ text, mark, duration }) => ["
        "  text(null, 'rows/s'), text(NaN, 'ratio'), text(undefined, 'bytes'), duration(null),"
        "  text(0, 'rows/s'), text(12345, 'rows/s'), text(999.9, 'rows'), text(1.2e9, 'bytes/s'),"
        "  text(0.0521, 'seconds'), text(90, 'seconds'), text(1, 'ratio'), text(0.0342, 'ratio'),"
        "  mark(50000, 'rows/s'), mark(4e7, 'bytes/s'), duration(3725)].join('; '))");
    assert_string_equal(json_string_value(texts),
                        "–; –; –; –; 0 rows/s; 12.3k rows/s; 1.00k rows; 1.20 GB/s; "
                        "52.1 ms; 90.0 s; 100 %; 3.4 %; 50k; 40 MB; 1 h 2 min");
    json_decref(texts);
}

/* Of a trainer that is silent nothing is drawn, nor of one that makes no steps their time. */
static void the_silent_have_no_points(void **state)
{
    (void)state;
    json_t *said = browser_script(
        &b, "return import('/status.js').then(({ points }) => {"
            "  const said = (age_seconds, count, sum, training = 0, waiting = 0) => [...points({ "
            "processes: ["
            "    { name: 'trainer-x', kind: 'trainer', age_seconds, rates: {"
            "        sluice_process_cpu_seconds_total: 2, sluice_trainer_rows_total: 3 }, report: {"
            "      sluice_trainer_features: { a: 8 }, sluice_trainer_dead_features: { a: 2 },"
            "      sluice_trainer_loss: { a: 4 }, sluice_trainer_fve_ratio: { a: 5 },"
            "      sluice_trainer_l0: { a: 6 }, sluice_process_memory_bytes: 7,"
            "      sluice_trainer_phase: { training }, sluice_trainer_waiting: waiting,"
            "      sluice_trainer_step_seconds: { count, sum } } }] })]"
            "    .filter(([, value]) => value !== null).map(([, value]) => value).sort().join();"
            "  return [said(1, 10, 1), said(1, 20, 81), said(1, 20, 81), said(1, 20, 81, 1),"
            "    said(1, 20, 81, 1, 1), said(60, 20, 81), said(1, 30, 91, 1)].join('; '); })");
    assert_string_equal(json_string_value(said),
                        "0.25,2,4,5,6,7; 0.25,2,4,5,6,7,8; 0.25,2,4,5,6,7; 0.25,2,4,5,6,7,8; "
                        "0.25,2,4,5,6,7; ; 0.25,2,4,5,6,7");
    json_decref(said);
}

/* More series than are asked for at once: of each answer the steps are its own. */
static void answers_of_other_steps_are_of_one_time(void **state)
{
    (void)state;
    json_t *said = browser_script(
        &b,
        PAST_OF(
            "Array.from({ length: 50 }, (_, i) => `n${i}`)",
            "(asked) => { const [from, step_seconds, rows] = asked.get('series').includes('n0')"
            "    ? [600, 6, 600] : [595, 7, 516];"
            "  const times = Array.from({ length: rows }, (_, i) => from + i * step_seconds);"
            "  return { from, step_seconds, series: Object.fromEntries("
            "    asked.get('series').split(',').map((name) => [name, times])) }; }",
            "await past.read(names, -3600); window.fetch = fetch_before;"
            "return [past.times.length, Math.round(past.now() / 60),"
            "  ...['n0', 'n49'].map((name) => past.column(name).filter("
            "    (v, i) => !(past.times[i] - v >= 0 && past.times[i] - v < 7)).length)].join();"));
    assert_string_equal(json_string_value(said), "600,70,0,0");
    json_decref(said);
}

/* Where a clock was set, what was is read anew and the page goes on; by a moment clocks may differ. */
static void a_clock_may_be_set(void **state)
{
    (void)state;
    json_t *said = browser_script(
        &b, "return import('/past.js').then(({ Past }) => { const past = new Past();"
            "  return [100, 102, 101, 103, 120, 121, 40, 41, 2000].map((at) => {"
            "    past.now = () => at + 0.5;"
            "    const is_in_order = past.add(new Map([['a', at]]));"
            "    return `${is_in_order} ${past.times.length} ${past.column('a').at(-1)}`;"
            "  }).join(', '); })");
    assert_string_equal(
        json_string_value(said),
        "true 1 100, true 3 102, true 3 102, true 4 103, false 21 120, true 22 121, "
        "false 1 40, true 2 41, false 1 2000");
    json_decref(said);
    visit();
    script("const now = Date.now; window.real = () => now.call(Date) / 1000;"
           "performance.clearResourceTimings(); Date.now = () => now.call(Date) - 3600000;");
    browser_await(&b, "performance.getEntriesByType('resource').some("
                      "(e) => e.name.includes('from=-300') && e.responseEnd > 0)");
    script("document.querySelector('#chart-rows .plot').focus();");
    for (int look = 0; look < 100; look++) {
        browser_key(&b, "\xee\x80\x92"); /* left */
        if (number("Math.abs(document.getElementById('cursor').dataset.value - real())") < 30)
            break;
        script("document.activeElement.blur();"
               "document.querySelector('#chart-rows .plot').focus();");
        harness_sleep(0.1);
    }
    assert_true(number("Math.abs(document.getElementById('cursor').dataset.value - real())") < 30);
    visit();
}

/* By however much a browser's clock is not the broker's: what comes after a read is in order, so nothing is
 * read again with each document. */
static void clocks_may_differ(void **state)
{
    (void)state;
    json_t *far = browser_script(
        &b,
        "return import('/past.js').then(async ({ Past }) => {"
        "  const fetch_before = window.fetch, clock = Date.now, far = [];"
        "  let at = 0, step = 1;"
        "  window.fetch = async (path) => !path.includes('series=a&') ? fetch_before(path) :"
        "    new Response(JSON.stringify({ step_seconds: step,"
        "    from: (Math.floor(at / step) - 9) * step, series: { a: Array(10).fill(1) } }));"
        "  for (step of [1, 10, 300])"
        "    for (let phase = 0; phase < 10; phase++)"
        "      for (let differ = -40; differ <= 40; differ++) {"
        "        const past = new Past(); past.series = new Set(['a']);"
        "        at = 600000 + phase * step / 10;"
        "        Date.now = () => (at + differ) * 1000;"
        "        await past.read(['a'], -10 * step);"
        "        for (let t = 0; t < 30; t++, at++)"
        "          if (!past.add(new Map([['a', 1]]))) { far.push(`${step} ${differ}`); break; }"
        "      }"
        "  window.fetch = fetch_before; Date.now = clock;"
        "  return [...new Set(far)].join(', '); })");
    assert_string_equal(json_string_value(far), "");
    json_decref(far);
    visit();
}

#define SAME_TIMES                                                                                 \
    "(() => { const times = (id) => [...document.querySelectorAll("                                \
    "  `#chart-${id} .dygraph-axis-label-x`)].map((e) => e.textContent).join(' ');"                \
    "  return times('rows') !== '' && times('rows') === times('bytes') && "                        \
    "    times('rows') === times('fill'); })()"

static void all_charts_show_one_time(void **state)
{
    (void)state;
    visit();
    browser_await(&b, SAME_TIMES);
    browser_key(&b, "2");
    browser_await(&b, "performance.getEntriesByType('resource').some("
                      "(e) => e.name.includes('from=-3600'))");
    browser_await(&b, "document.querySelector('[data-seconds=\"3600\"]').ariaPressed === 'true'");
    browser_await(&b, SAME_TIMES);
    browser_key(&b, "+");
    browser_await(&b, "!document.getElementById('live').hidden && "
                      "document.getElementById('window').textContent !== ''");
    browser_await(&b, SAME_TIMES);
    browser_key(&b, "\xee\x80\x8c"); /* Esc */
    browser_await(&b, "document.getElementById('live').hidden");
    /* dragged with a mouse */
    script("const canvas = [...document.querySelectorAll('#chart-rows canvas')].pop();"
           "const box = canvas.getBoundingClientRect();"
           "const at = (share) => ({ bubbles: true, clientX: box.left + share * box.width,"
           "  clientY: box.top + 60, buttons: 1, view: window });"
           "canvas.dispatchEvent(new MouseEvent('mousedown', at(0.5)));"
           "document.dispatchEvent(new MouseEvent('mousemove', at(0.7)));"
           "document.dispatchEvent(new MouseEvent('mousemove', at(0.8)));"
           "document.dispatchEvent(new MouseEvent('mouseup', at(0.8)));");
    browser_await(&b, "!document.getElementById('live').hidden");
    browser_await(&b, SAME_TIMES);
    browser_click(&b, "#live");
    browser_await(&b, "document.getElementById('live').hidden");
    browser_key(&b, "1");
}

static void autoencoders_stand_side_by_side(void **state)
{
    (void)state;
    script("for (const [axis, key] of [['x', 'features'], ['y', 'loss']]) {"
           "  const e = document.getElementById(`sweep-${axis}`); e.value = key;"
           "  e.dispatchEvent(new Event('change')); }");
    browser_await(&b, "document.querySelectorAll('#sweep .point').length === 3");
    browser_await(&b, "document.querySelector('#sweep .axis').textContent.includes('features')");
    script("document.getElementById('sweep-log-x').click();");
    browser_await(&b, "document.getElementById('sweep-log-x').ariaPressed === 'true' && "
                      "document.querySelectorAll('#sweep .point').length === 3");
    script("document.querySelector('#sae-legend button').click();"); /* one is hidden */
    browser_await(&b, "document.querySelectorAll('#chart-fve .legend li').length === 2");
    browser_await(&b, "document.querySelectorAll('#sweep .point').length === 2");
    script("document.querySelector('#sae-legend button').click();");
    browser_await(&b, "document.querySelectorAll('#chart-fve .legend li').length === 3");
}

/* ---- who looks ---- */

/* The least contrast of any text with what it stands on. */
#define CONTRAST                                                                                   \
    "const rgba = (t) => { const n = t.match(/[\\d.]+/g).map(Number);"                             \
    "  return n.length < 4 ? [...n, 1] : n; };"                                                    \
    "const light = (c) => [0.2126, 0.7152, 0.0722].reduce((sum, share, i) => sum + share * "       \
    "  (c[i] / 255 <= 0.04045 ? c[i] / 255 / 12.92 : ((c[i] / 255 + 0.055) / 1.055) ** 2.4), 0);"  \
    "const ground = (e) => { for (; e; e = e.parentElement) {"                                     \
    "  const c = rgba(getComputedStyle(e).backgroundColor); if (c[3] === 1) return c; } };"        \
    "const of = (e) => { const s = getComputedStyle(e);"                                           \
    "  const ink = rgba(e.namespaceURI.endsWith('svg') ? s.fill : s.color);"                       \
    "  const [x, y] = [light(ground(e)), light(ink)].sort((p, q) => q - p);"                       \
    "  return [(x + 0.05) / (y + 0.05), e.className.baseVal ?? e.className, e.textContent]; };"    \
    "return [...document.querySelectorAll('dt, dd span, p, h1, h2, h3, .legend span, .legend b, "  \
    "  td, th, button, label, svg text, .dygraph-axis-label')].filter("                            \
    "  (e) => e.getClientRects().length && e.textContent.trim()).map(of)"                          \
    "  .sort((p, q) => p[0] - q[0])[0];"

static void it_can_be_read(const char *name)
{
    json_t *least = browser_script(&b, CONTRAST);
    double contrast = json_number_value(json_array_get(least, 0));
    if (!(contrast >= 4.5))
        fail_msg("%s: a contrast of %g: %s", name, contrast, json_dumps(least, 0));
    json_decref(least);
}

static void it_fits_phones_and_the_dark(void **state)
{
    static const struct {
        const char *name;
        int width, height, is_phone, is_dark;
    } screens[] = {{"desktop-light", 1280, 900, 0, 0},
                   {"desktop-dark", 1280, 900, 0, 1},
                   {"phone-light", PHONE_PIXELS, 740, 1, 0},
                   {"phone-dark", PHONE_PIXELS, 740, 1, 1}};
    char all[64], tall[64];
    (void)state;
    for (size_t i = 0; i < sizeof screens / sizeof *screens; i++) {
        browser_screen(&b, screens[i].width, screens[i].height, screens[i].is_phone);
        browser_prefers(&b, screens[i].is_dark);
        visit();
        assert_true(number("document.documentElement.scrollWidth") <= screens[i].width);
        it_can_be_read(screens[i].name);
        browser_picture(&b, screens[i].name);
        int height = (int)number("document.documentElement.scrollHeight");
        browser_screen(&b, screens[i].width, height, screens[i].is_phone);
        snprintf(tall, sizeof tall, "innerHeight >= %d", height - 1);
        browser_await(&b, tall);
        browser_await(&b, "document.querySelectorAll('#chart-memory canvas').length > 0");
        snprintf(all, sizeof all, "%s-all", screens[i].name);
        browser_picture(&b, all);
    }
    browser_screen(&b, 1280, 900, 0);
    browser_prefers(&b, 0);
}

/* Many autoencoders of the longest names, and what else has names: nothing is wider than a phone, and the
 * numbers beside a name are seen. Gives what is not so. */
#define TOO_WIDE                                                                                   \
    "return import('/page.js').then(async (page) => {"                                             \
    "  const s = await (await fetch('/api/status')).json();"                                       \
    "  const t = s.processes.find((p) => p.kind === 'trainer'), x = 'x'.repeat(60);"               \
    "  const of = (many, key) => Object.fromEntries(Array.from({ length: many },"                  \
    "    (_, i) => [`${x}<${i}`, key === 'features' ? 64 : 0.1 + i]));"                            \
    "  const captures = s.processes.filter((p) => p.kind === 'capture');"                          \
    "  captures.forEach((p, i) => { p.name = `capture-${i + 8}`; p.age_seconds = 1;"               \
    "    p.rates = { sluice_capture_rows_total: 123456 }; });"                                     \
    "  const wrong = [], wide = (e) => e.getBoundingClientRect().width;"                           \
    "  s.stalled = s.stream = `\"${x}${x}`; s.errors = [{ process: x, seconds_ago: 1, text: x }];" \
    "  for (const many of [64, 3]) {"                                                              \
    "    const report = { ...t.report };"                                                          \
    "    for (const key of ['features', 'loss', 'fve_ratio', 'l0', 'dead_features'])"              \
    "      report[`sluice_trainer_${key}`] = of(many, key);"                                       \
    "    s.processes = ['a', 'b'].map((n) => ({ ...t, name: `trainer-${n}${x}`, report }));"       \
    "    page.show(s);"                                                                            \
    "    const all = document.documentElement.scrollWidth;"                                        \
    "    if (all > screen.width) wrong.push(`the page is ${all} wide`);"                           \
    "    for (const e of document.querySelectorAll('#sae-rows th, #process-rows th'))"             \
    "      if (wide(e) > 0.5 * screen.width) wrong.push(`${e.textContent} is ${wide(e)} wide`);"   \
    "    for (const e of document.querySelectorAll('.legend'))"                                    \
    "      if (e.scrollWidth > e.clientWidth) wrong.push(`a legend is ${e.scrollWidth} wide`);"    \
    "    const svg = document.querySelector('#sweep svg').getBoundingClientRect();"                \
    "    for (const e of document.querySelectorAll('#sweep .label')) {"                            \
    "      const r = e.getBoundingClientRect();"                                                   \
    "      if (r.left < svg.left || r.right > svg.right) wrong.push(`${r.left} ${r.right}`);"      \
    "    }"                                                                                        \
    "    if (many === 3 && !document.querySelector('#sweep .label')) wrong.push('no label');"      \
    "    s.processes = [...s.processes, ...captures];"                                             \
    "    page.show(s);"                                                                            \
    "    const map = document.querySelector('#map svg').getBoundingClientRect();"                  \
    "    for (const e of document.querySelectorAll('#map text'))"                                  \
    "      if (e.getBoundingClientRect().right > map.right) wrong.push(`cut: ${e.textContent}`);"  \
    "  }"                                                                                          \
    "  return wrong.slice(0, 5).join('; '); })"

static void names_may_be_long(void **state)
{
    (void)state;
    browser_screen(&b, PHONE_PIXELS, 740, 1);
    visit();
    json_t *wrong = browser_script(&b, TOO_WIDE);
    browser_picture(&b, "long-names");
    assert_string_equal(json_string_value(wrong), "");
    json_decref(wrong);
    browser_screen(&b, 1280, 900, 0);
    visit();
}

/* With Tab alone one comes to everything, and sees where one is. */
static void it_is_used_by_keyboard(void **state)
{
    (void)state;
    script("window.been = []; document.addEventListener('focusin', (e) => been.push("
           "  [e.target.id || e.target.className || e.target.textContent,"
           "   getComputedStyle(e.target).outlineStyle]));");
    for (int i = 0; i < 12; i++) browser_key(&b, "\xee\x80\x84"); /* Tab */
    browser_await(&b, "been.length >= 12 && been.every(([, outline]) => outline !== 'none')");
    browser_await(&b, "been[0][0] === 'skip' && been[1][0] === 'help-open' && "
                      "been.some(([id]) => id === 'plot')");
    browser_key(&b, "?");
    browser_await(&b, "document.getElementById('help').open");
    browser_key(&b, "\xee\x80\x8c"); /* Esc */
    browser_await(&b, "!document.getElementById('help').open");
    browser_await(&b,
                  "[...document.querySelectorAll('button, select, [tabindex=\"0\"], svg')].every("
                  "(e) => (e.ariaLabel || e.getAttribute('aria-label') || e.textContent))");
}

/* Names come from configurations and texts from programs: neither is HTML. */
static void nothing_of_a_name_is_run(void **state)
{
    (void)state;
    script(
        "const bad = '<img src=x onerror=\"window.hit = 1\"><script>window.hit = 1</script>';"
        "return import('/page.js').then(async (page) => {"
        "  const s = await (await fetch('/api/status')).json();"
        "  s.stream = s.advice = bad;"
        "  s.errors = [{ process: bad, seconds_ago: 1, text: bad }];"
        "  for (const p of s.processes) {"
        "    p.name = p.kind + '-' + bad;"
        "    for (const [key, value] of Object.entries(p.report))"
        "      if (typeof value === 'object' && value.one_64 === undefined && p.kind === 'trainer'"
        "        && !('count' in value)) p.report[key] = { [bad]: 0.5, '</svg><b>': 0.25 };"
        "  }"
        "  page.show(s);"
        "  window.shown = ['#name', '#advice', '#map', '#sweep', '#sae-rows', '#sae-legend',"
        "    '#chart-fve', '#chart-cpu', '#process-rows', '#error-rows'].filter("
        "    (id) => !document.querySelector(id).textContent.includes('<'));"
        "  window.made = document.querySelectorAll('img, main b > *, main script').length;"
        "});");
    assert_string_equal(browser_text(&b, "shown.join()"), "");
    assert_true(number("made") == 0);
    /* a picture asked for now is refused after all that were asked for before */
    script("const mark = new Image(); mark.src = '/mark.png';");
    browser_await(&b, "wrong.some((w) => w.includes('/mark.png'))");
    assert_string_equal(
        browser_text(&b, "wrong.filter((w) => /-src/.test(w) && !w.includes('/mark.png')).join()"),
        "");
    assert_true(number("performance.getEntriesByType('resource').filter("
                       "(e) => e.name.endsWith('/x')).length") == 0);
    browser_await(&b, "window.hit === undefined");
}

/* ---- made-up documents ---- */

/* Shows the status with its processes replaced; gives what the page then says, at once. */
#define SHOW_PROCESSES(processes, said)                                                            \
    "return import('/page.js').then(async (page) => {"                                             \
    "  const s = await (await fetch('/api/status')).json();"                                       \
    "  const trainer = (name, age_seconds, planned, trained, rate, finished) => ({"                \
    "    name: `trainer-${name}`, kind: 'trainer', age_seconds,"                                   \
    "    is_through: finished === 1, report: {"                                                    \
    "      sluice_trainer_planned_rows: planned, sluice_trainer_rows_total: trained,"              \
    "      sluice_trainer_finished: finished }, rates: { sluice_trainer_rows_total: rate } });"    \
    "  const other = (name, kind, age_seconds, report) =>"                                         \
    "    ({ name, kind, age_seconds, report, rates: {},"                                           \
    "      is_through: name === 'capture-8' || report.sluice_stream_ended === 1 });"               \
    "  const shown = (trained, processes) => { s.processes = processes;"                           \
    "    Object.assign(s.overview, { planned_draws: 1000, trained_rows: trained,"                  \
    "      trained_rows_per_second: 1000 });"                                                      \
    "    page.show(s); return " said "; };"                                                        \
    "  return " processes "; });"

/* Who was through when it was heard last has ended; who was not is silent. */
static void who_was_through_is_not_silent(void **state)
{
    (void)state;
    json_t *said = browser_script(
        &b, SHOW_PROCESSES(
                "shown(10, [other('capture-8', 'capture', 60, {}),"
                "  other('capture-9', 'capture', 1, { sluice_capture_ended: 0 }),"
                "  trainer('u', 60, 1000, 1000, 0, 1), trainer('v', 1, 1000, 10, 1, 0)])"
                " + '; ' + shown(10, [other('capture-9', 'capture', 60, {}),"
                "  trainer('u', 60, 1000, 10, 1, 0)])"
                " + '; ' + shown(10, [other('capture-9', 'capture', 60, {}),"
                "  other('sink', 'sink', 60, { sluice_stream_ended: 1 }),"
                "  trainer('v', 1, 1000, 10, 1, 0)])",
                "[document.getElementById('state').textContent,"
                "  ...[...document.querySelectorAll('#process-rows tr')].map((r) => r.className),"
                "  document.querySelectorAll('#map .node.bad').length].join()"));
    assert_string_equal(json_string_value(said),
                        "running,ended,well,ended,well,0; "
                        "capture-9 and trainer-u are silent,silent,silent,2; "
                        "running,ended,ended,well,0");
    json_decref(said);
}

/* A stream without a row is named by what it is at; stalled is what the broker calls so. */
static void it_is_stalled_where_the_broker_says_so(void **state)
{
    (void)state;
    json_t *said = browser_script(
        &b, "return import('/status.js').then(({ state }) => {"
            "  const at = (kind, name, more) => ({ name: kind, kind, age_seconds: 1,"
            "    report: { [`sluice_${kind}_phase`]: { ended: 0, [name]: 1 }, ...more } });"
            "  const said = (still_seconds, stalled, ...processes) => { const { word, mood } ="
            "    state({ processes, stalled }, still_seconds); return `${word} (${mood})`; };"
            "  const flows = at('capture', 'streaming'), trains = at('trainer', 'training');"
            "  return [said(60, null, at('capture', 'opening'), at('trainer', 'loading')),"
            "    said(60, null, at('capture', 'reading',"
            "      { sluice_capture_phase_done: 349, sluice_capture_phase_size: 1000 })),"
            "    said(60, null, at('trainer', 'evaluating'), flows),"
            "    said(3, null, at('trainer', 'evaluating'), flows),"
            "    said(60, null, flows, at('trainer', 'training', { sluice_trainer_waiting: 1 })),"
            "    said(60, null, flows, trains), said(0, 'why', flows, trains)].join('; '); })");
    assert_string_equal(json_string_value(said),
                        "opening the engine (calm); reading the model, once: 34 % (calm); "
                        "evaluating held-out rows (calm); running (good); waits for rows (calm); "
                        "running (good); stalled (bad)");
    json_decref(said);
    json_t *why = browser_script(
        &b, SHOW_PROCESSES("(s.stalled = 'the stream stands still: x', shown(10, []))",
                           "document.getElementById('advice').textContent"));
    assert_string_equal(json_string_value(why), "the stream stands still: x");
    json_decref(why);
}

/* Each trainer goes at its own rate: the last one to finish counts, and nothing is made up. */
static void the_time_left_is_that_of_the_slowest(void **state)
{
    (void)state;
    json_t *said = browser_script(
        &b,
        SHOW_PROCESSES("[shown(100, [trainer('x', 1, 1000, 900, 10, 0),"
                       "   trainer('y', 1, 1000, 100, 30, 0), trainer('z', 60, 1000, 1000, 0, 1)]),"
                       " shown(100, [trainer('x', 1, 1000, 900, 10, 0),"
                       "   trainer('w', 1, 1000, 100, undefined, 0)])].join('; ')",
                       "document.getElementById('progress-text').textContent"
                       "  .replaceAll('\u00a0', ' ')"));
    assert_string_equal(json_string_value(said), "10.0 % · 100 of 1.00k rows trained · 30 s left; "
                                                 "10.0 % · 100 of 1.00k rows trained");
    json_decref(said);
}

/* ---- what it asks for ---- */

/* A page that nobody sees holds no stream: six would be all connections that a browser has. */
static void unseen_it_asks_now_and_then(void **state)
{
    static const char streams[] = "performance.getEntriesByType('resource').filter("
                                  "(e) => e.name.endsWith('/api/events')).length";
    (void)state;
    script("performance.clearResourceTimings(); window.unseen = true; "
           "Object.defineProperty(document, 'hidden', "
           "  { get: () => window.unseen, configurable: true });"
           "document.dispatchEvent(new Event('visibilitychange'));");
    browser_await(&b, "performance.getEntriesByType('resource').some("
                      "(e) => e.name.endsWith('/api/status'))");
    for (int look = 0; look < 600 && number(streams) == 0; look++) harness_sleep(0.1);
    assert_true(number(streams) > 0); /* a stream is listed when it is over */
    script("window.unseen = false; document.dispatchEvent(new Event('visibilitychange'));"
           "document.querySelector('[data-key=lag_rows]').dataset.value = 'before';");
    browser_await(&b, "document.querySelector('[data-key=lag_rows]').dataset.value !== 'before'");
    browser_await(&b, "document.getElementById('trouble').hidden");
}

/* Sees the page again, where it gets such streams: refused ones, or ones that say nothing. */
static void gets_streams(const char *kind)
{
    char body[1200];
    snprintf(body, sizeof body,
             "window.Real = window.Real || EventSource; window.tried = 0;"
             "const Mute = class extends EventTarget { readyState = 1; close() {} };"
             "window.EventSource = { real: Real,"
             "  refused: class extends Real { constructor() { super('/api/no-such-stream');"
             "    this.addEventListener('error', () => window.tried++); } },"
             "  mute: class extends Mute { constructor() { super(); window.tried++; } } }['%s'];"
             "window.EventSource.CLOSED = 2;"
             "document.dispatchEvent(new Event('visibilitychange'));",
             kind);
    script(body);
}

/* Where there is a broker and no stream it is asked, and is not called silent. */
static void without_a_stream_it_asks(void **state)
{
    static const char *const kinds[] = {"refused", "mute"};
    (void)state;
    visit();
    script("window.told = ''; const trouble = document.getElementById('trouble');"
           "new MutationObserver(() => { if (!trouble.hidden) told += trouble.textContent; })"
           "  .observe(trouble, { attributes: true });");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        gets_streams(kinds[i]);
        script("document.querySelector('[data-key=lag_rows]').dataset.value = 'before';");
        browser_await(&b, "tried > 1"); /* and again, when it has heard nothing for a while */
        browser_await(&b,
                      "document.querySelector('[data-key=lag_rows]').dataset.value !== 'before'");
        assert_string_equal(browser_text(&b, "told"), "");
    }
    gets_streams("real");
    assert_string_equal(browser_text(&b, "told"), "");
}

static void it_is_small_and_asks_nobody_else(void **state)
{
    (void)state;
    visit();
    browser_asked_only(&b, origin);
    double bytes = number("performance.getEntriesByType('navigation')[0].encodedBodySize + "
                          "performance.getEntriesByType('resource').filter("
                          "(e) => !e.name.includes('/api/')).reduce("
                          "(sum, e) => sum + e.encodedBodySize, 0)");
    browser_await(&b, "performance.getEntriesByType('paint').length > 0");
    printf("the page is %.0f bytes; first paint after %.0f ms\n", bytes,
           number("performance.getEntriesByType('paint')[0].startTime"));
    assert_true(bytes > 100000 && bytes <= MOST_BYTES);
    browser_await(&b, "wrong.length === 0 || wrong.join('; ')");
}

/* Whatever came into the page would not run, nor be heard anywhere. */
static void nothing_else_runs_in_it(void **state)
{
    (void)state;
    visit();
    script("const s = document.createElement('script'); s.textContent = 'window.hit = 2';"
           "const i = document.createElement('img'); i.src = 'http://127.0.0.1:9/';"
           "const p = document.createElement('p'); p.innerHTML = '<b onclick=\"window.hit = 3\">';"
           "document.body.append(s, i, p); p.firstChild.click();"
           "return fetch('http://127.0.0.1:9/').then(() => 0, () => 0);");
    browser_await(&b, "['script-src-elem', 'script-src-attr', 'img-src', 'connect-src'].every("
                      "(d) => wrong.some((w) => w.startsWith(d)))");
    browser_await(&b, "window.hit === undefined");
}

/* ---- a broker that is killed ---- */

static void it_survives_the_broker(void **state)
{
    struct run *run = *state;
    char again[sizeof origin];
    visit();
    script("window.told = ''; const trouble = document.getElementById('trouble');"
           "new MutationObserver(() => { if (!trouble.hidden) window.told = trouble.textContent + "
           "  document.querySelector('[data-key=buffer_rows]').dataset.value; })"
           "  .observe(trouble, { attributes: true });");
    double before = number("Number(document.getElementById('progress-text').dataset.value)");
    kill(up, SIGSTOP); /* it would start the next life before a slow browser misses this one */
    assert_true(run_kill(run, "broker"));
    browser_await(&b, "/silent.*[0-9]$/.test(told)"); /* and what it showed stays */
    kill(up, SIGCONT);
    browser_await(&b, "document.getElementById('trouble').hidden");
    snprintf(again, sizeof again, "%s", "");
    assert_true(read_origin(run, again));
    assert_string_equal(again, origin);
    browser_await(&b, "document.getElementById('state').textContent === 'running'");
    char grown[160];
    snprintf(grown, sizeof grown,
             "Number(document.getElementById('progress-text').dataset.value) > %.17g", before);
    browser_await(&b, grown);
    browser_await(&b, "wrong.length === 0 || wrong.join('; ')");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_shows_the_whole_pipeline),
        cmocka_unit_test(its_numbers_are_those_of_the_status),
        cmocka_unit_test(it_goes_on_by_itself),
        cmocka_unit_test(opened_late_it_shows_what_was),
        cmocka_unit_test(gaps_are_gaps),
        cmocka_unit_test(the_silent_have_no_points),
        cmocka_unit_test(answers_of_other_steps_are_of_one_time),
        cmocka_unit_test(a_clock_may_be_set),
        cmocka_unit_test(clocks_may_differ),
        cmocka_unit_test(all_charts_show_one_time),
        cmocka_unit_test(autoencoders_stand_side_by_side),
        cmocka_unit_test(it_fits_phones_and_the_dark),
        cmocka_unit_test(names_may_be_long),
        cmocka_unit_test(it_is_used_by_keyboard),
        cmocka_unit_test(nothing_of_a_name_is_run),
        cmocka_unit_test(who_was_through_is_not_silent),
        cmocka_unit_test(it_is_stalled_where_the_broker_says_so),
        cmocka_unit_test(the_time_left_is_that_of_the_slowest),
        cmocka_unit_test(unseen_it_asks_now_and_then),
        cmocka_unit_test(without_a_stream_it_asks),
        cmocka_unit_test(it_is_small_and_asks_nobody_else),
        cmocka_unit_test(nothing_else_runs_in_it),
        cmocka_unit_test(it_survives_the_broker),
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
