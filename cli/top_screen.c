/*
 * From top to bottom: a title; the main rates with what they were in the last minutes, and beside
 * them the buffer; totals; advice; processes and SAEs, which scroll where there are too many, below
 * each other or, where the screen is wide, beside each other; the last errors; the keys.
 */
#include "cli/top_screen.h"

#include "cli/progress.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    WIDE_COLUMNS = 150,        /* lists stand beside each other */
    SPARK_SECONDS = 300,       /* that a curve shows, where it has room */
    SPARK_COLUMN_SECONDS = 10, /* at most, so that something is seen soon */
    RATES = 6,
    RATE_ROWS = 4,      /* of a curve at most */
    PANEL_COLUMNS = 33, /* of the buffer, beside the rates */
    ADVICE_ROWS = 3,
    LEAST_ROWS = 24, /* below that the lists come first */
};

void top_screen_number(double number, char *out, size_t bytes)
{
    static const char units[] = "kMGTP";
    int unit = -1;
    if (fabs(number) < 99999.5 || isnan(number)) {
        progress_number(number, out, bytes);
        return;
    }
    while (fabs(number) >= 999.5 && unit < 4) {
        number /= 1000;
        unit++;
    }
    snprintf(out, bytes, "%.*f %c",
             number < 9.995   ? 2
             : number < 99.95 ? 1
                              : 0,
             number, units[unit]);
}

/* "0.1234", "123.4"; NaN: "-". */
static void decimal(double value, int digits, char *out, size_t bytes)
{
    if (isnan(value))
        snprintf(out, bytes, "-");
    else
        snprintf(out, bytes, "%.*f", digits, value);
}

/* "12 s", "3:04". */
static void duration(double seconds, char *out, size_t bytes)
{
    if (isnan(seconds))
        snprintf(out, bytes, "-");
    else if (seconds < 60)
        snprintf(out, bytes, "%.0f s", seconds);
    else
        progress_time(seconds, out, bytes);
}

static void spark(struct top_canvas *c, const struct top_model *m, const struct top_ring *ring,
                  int row, int column, int rows, int width, int from_zero)
{
    double value[SPARK_SECONDS], low = INFINITY;
    if (width < 1) return;
    if (width > SPARK_SECONDS) {
        column += width - SPARK_SECONDS;
        width = SPARK_SECONDS;
    }
    int per = (SPARK_SECONDS + width - 1) / width;
    top_model_columns(m, ring, per < SPARK_COLUMN_SECONDS ? per : SPARK_COLUMN_SECONDS, width,
                      value);
    for (int i = 0; i < width; i++)
        if (value[i] < low) low = value[i];
    top_canvas_spark(c, row, column, rows, width, TOP_GOOD, value,
                     from_zero || isinf(low) ? 0 : low);
}

/* ---- title, totals, advice, keys ---- */

static void draw_title(struct top_canvas *c, const struct top_model *m, const struct top_view *v)
{
    char text[256], seconds[32];
    int is_silent = !m->has_answered || m->silent_seconds > 0;
    enum top_style style = is_silent ? TOP_ALARM : TOP_TITLE;
    duration(m->silent_seconds, seconds, sizeof seconds);
    top_canvas_fill(c, 0, 0, c->columns, style);
    snprintf(text, sizeof text, "%s%s", v->is_paused ? "paused  " : "", v->clock);
    top_canvas_right(c, 0, 0, c->columns - 1, style, text);
    if (is_silent)
        snprintf(text, sizeof text, "sluice top  %.40s  no answer from the broker for %s",
                 m->stream, seconds);
    else
        snprintf(text, sizeof text, "sluice top  %.40s%s%s", m->stream,
                 m->bottleneck[0] ? "  " : "", m->bottleneck);
    top_canvas_text(c, 0, 1, c->columns - 20, style, text);
}

static int put_total(struct top_canvas *c, int row, int column, const char *what, double number,
                     double of, enum top_style style)
{
    char text[80], total[32], planned[32] = "";
    top_screen_number(number, total, sizeof total);
    if (of > 0) top_screen_number(of, planned, sizeof planned);
    column += top_canvas_text(c, row, column, c->columns - column, TOP_DIM, what);
    snprintf(text, sizeof text, " %s%s%s", total, planned[0] ? " of " : "", planned);
    return column + top_canvas_text(c, row, column, c->columns - column, style, text) + 2;
}

static enum top_style if_any(double number, enum top_style style)
{
    return number > 0 ? style : TOP_PLAIN;
}

static void draw_totals(struct top_canvas *c, const struct top_model *m, int row)
{
    const double *n = m->number;
    int at = put_total(c, row, 1, "stored", n[TOP_STREAM_ROWS], n[TOP_PLANNED_ROWS], TOP_PLAIN);
    at = put_total(c, row, at, "trained", n[TOP_TRAINED_ROWS], n[TOP_PLANNED_DRAWS], TOP_PLAIN);
    at = put_total(c, row, at, "shed", n[TOP_SHED_ROWS], 0, if_any(n[TOP_SHED_ROWS], TOP_WARN));
    at = put_total(c, row, at, "rejected", n[TOP_REJECTED_ROWS], 0,
                   if_any(n[TOP_REJECTED_ROWS], TOP_WARN));
    put_total(c, row, at, "lost", n[TOP_LOST_ROWS], 0, if_any(n[TOP_LOST_ROWS], TOP_BAD));
}

/* Returns how many rows it takes. */
static int draw_advice(struct top_canvas *c, const struct top_model *m, struct top_view *v, int row)
{
    int rows = 1, most = c->rows < LEAST_ROWS ? 1 : ADVICE_ROWS;
    if (m->advice[0])
        rows = top_canvas_wrap(c, row, 1, c->columns - 2, most, TOP_BOLD, m->advice);
    else
        top_canvas_text(c, row, 1, c->columns - 2, TOP_DIM,
                        m->has_answered ? "What the bottleneck is, nobody can tell yet."
                                        : "It goes on as soon as the stream's broker answers.");
    if (rows > v->advice_rows) v->advice_rows = rows;
    if (most < v->advice_rows) v->advice_rows = most;
    return v->advice_rows;
}

static void draw_keys(struct top_canvas *c)
{
    top_canvas_text(c, c->rows - 1, 1, c->columns - 2, TOP_DIM,
                    "q quit   p pause   h help   arrows, PageUp, PageDown, Home: scroll");
}

/* ---- rates, and the buffer beside them ---- */

static void draw_rate(struct top_canvas *c, const struct top_model *m, int row, int rows, int width,
                      const char *what, enum top_number id, const char *unit)
{
    char text[32];
    double rate = m->number[id];
    enum top_style style = id == TOP_SHED && rate > 0 ? TOP_WARN : TOP_PLAIN;
    top_screen_number(rate, text, sizeof text);
    top_canvas_text(c, row, 1, 10, TOP_DIM, what);
    top_canvas_right(c, row, 10, 7, style, text);
    top_canvas_text(c, row, 18, 9, TOP_DIM, unit);
    spark(c, m, &m->ring[id], row, 28, rows, width - 28, 1);
}

/* Each `high` rows high. */
static void draw_rates(struct top_canvas *c, const struct top_model *m, int row, int high,
                       int width)
{
    static const struct {
        const char *what, *unit;
        enum top_number id;
    } rates[RATES] = {
        {"captured", "rows/s", TOP_CAPTURED}, {"shed", "rows/s", TOP_SHED},
        {"stored", "rows/s", TOP_STORED},     {"trained", "rows/s", TOP_TRAINED},
        {"tokens", "tokens/s", TOP_TOKENS},   {"packed", "bytes/s", TOP_PACKED_BYTES}};
    for (int i = 0; i < RATES; i++)
        draw_rate(c, m, row + i * high, high, width, rates[i].what, rates[i].id, rates[i].unit);
}

static void draw_fill(struct top_canvas *c, const struct top_model *m, int row, int column)
{
    char text[80], slabs[32], all[32];
    double fill = m->number[TOP_FILL];
    int bar = PANEL_COLUMNS - 15;
    top_canvas_text(c, row, column, 8, TOP_DIM, "buffer");
    top_canvas_bar(c, row, column + 8, bar, fill > 0.9 ? TOP_WARN : TOP_GOOD, fill);
    decimal(100 * fill, 0, text, sizeof text);
    strncat(text, " %", sizeof text - strlen(text) - 1);
    top_canvas_right(c, row, column + 8 + bar, 6, TOP_PLAIN, text);
    top_screen_number(m->number[TOP_SLABS], slabs, sizeof slabs);
    top_screen_number(m->number[TOP_CAPACITY_SLABS], all, sizeof all);
    snprintf(text, sizeof text, "%s of %s slabs", slabs, all);
    top_canvas_text(c, row + 1, column + 8, PANEL_COLUMNS - 9, TOP_PLAIN, text);
}

static void draw_panel(struct top_canvas *c, const struct top_model *m, int row, int column)
{
    const double *n = m->number;
    char text[4][96], rows[32], seconds[32];
    draw_fill(c, m, row, column);
    duration(n[TOP_FULL_IN], text[0], sizeof text[0]);
    duration(n[TOP_AGE], text[1], sizeof text[1]);
    top_screen_number(n[TOP_LAG_ROWS], rows, sizeof rows);
    duration(n[TOP_LAG_SECONDS], seconds, sizeof seconds);
    snprintf(text[2], sizeof text[2], "%s rows, %s", rows, seconds);
    decimal(100 * n[TOP_CREDIT_WAIT], 0, rows, sizeof rows);
    snprintf(text[3], sizeof text[3], "%s %% of the time", rows);
    static const char *const what[4] = {"full in", "age", "lag", "waits"};
    for (int i = 0; i < 4; i++) {
        top_canvas_text(c, row + 2 + i, column, 8, TOP_DIM, what[i]);
        top_canvas_text(c, row + 2 + i, column + 8, PANEL_COLUMNS - 9, TOP_PLAIN, text[i]);
    }
}

/* ---- lists ---- */

struct list {
    int count;
    const char *what, *header;
    void (*draw)(struct top_canvas *c, const struct top_model *m, int i, int row, int column,
                 int width);
};

static enum top_style style_of(enum roster_state state)
{
    static const enum top_style styles[ROSTER_STATES] = {
        [ROSTER_OK] = TOP_GOOD,    [ROSTER_ENDED] = TOP_DIM,  [ROSTER_NOT_READY] = TOP_WARN,
        [ROSTER_UNWELL] = TOP_BAD, [ROSTER_SILENT] = TOP_BAD, [ROSTER_MISSING] = TOP_BAD};
    return styles[state];
}

static const char process_header[] =
    "PROCESS             STATE                     RATE   CPU %     MEMORY RESTARTS";

static void draw_process(struct top_canvas *c, const struct top_model *m, int i, int row,
                         int column, int width)
{
    const struct top_process *p = &m->process[i];
    char text[64], number[32];
    top_canvas_text(c, row, column, 19, TOP_BOLD, p->name);
    duration(p->seconds, number, sizeof number);
    snprintf(text, sizeof text, "%s%s%s", roster_word(p->state), isnan(p->seconds) ? "" : " ",
             isnan(p->seconds) ? "" : number);
    top_canvas_text(c, row, column + 20, 16, style_of(p->state), text);
    top_screen_number(p->rate, number, sizeof number);
    snprintf(text, sizeof text, "%s %s", number, p->kind == PROCESS_BROKER ? "frames/s" : "rows/s");
    top_canvas_right(c, row, column + 35, 15, TOP_PLAIN, isnan(p->rate) ? "-" : text);
    decimal(100 * p->cpu_ratio, 1, text, sizeof text);
    top_canvas_right(c, row, column + 51, 7, TOP_PLAIN, text);
    progress_bytes(p->memory_bytes, text, sizeof text);
    top_canvas_right(c, row, column + 59, 10, TOP_PLAIN, isnan(p->memory_bytes) ? "-" : text);
    progress_number(p->restarts, text, sizeof text);
    top_canvas_right(c, row, column + 70, 8, if_any(p->restarts, TOP_WARN), text);
    spark(c, m, &p->rates, row, column + 80, 1, width - 80, 1);
}

static const char sae_header[] =
    "SAE                               LOSS      FVE        L0   DEAD %  LOSS CURVE";

static void draw_sae(struct top_canvas *c, const struct top_model *m, int i, int row, int column,
                     int width)
{
    const struct top_sae *s = &m->sae[i];
    char text[64];
    top_canvas_text(c, row, column, 27, TOP_BOLD, s->name);
    decimal(s->loss, fabs(s->loss) < 1000 ? 4 : 0, text, sizeof text);
    top_canvas_right(c, row, column + 28, 10, TOP_PLAIN, text);
    decimal(s->fve, 4, text, sizeof text);
    top_canvas_right(c, row, column + 39, 8, TOP_PLAIN, text);
    decimal(s->l0, 1, text, sizeof text);
    top_canvas_right(c, row, column + 48, 9, TOP_PLAIN, text);
    decimal(100 * s->dead_ratio, 1, text, sizeof text);
    top_canvas_right(c, row, column + 58, 8, s->dead_ratio > 0.5 ? TOP_WARN : TOP_PLAIN, text);
    spark(c, m, &s->losses, row, column + 68, 1, width - 68, 0);
}

/* Its header, and as many rows from `scroll` on as there is room for; returns how many rows of the
 * list lie outside. */
static int draw_list(struct top_canvas *c, const struct top_model *m, const struct list *list,
                     int row, int rows, int column, int width, int scroll)
{
    int shown = rows - 1 < list->count ? rows - 1 : list->count, hidden = list->count - shown;
    if (rows < 1) return list->count;
    int first = scroll < hidden ? scroll : hidden;
    top_canvas_text(c, row, column, width, TOP_DIM, list->header);
    if (hidden > 0 && shown > 0) {
        char range[64];
        snprintf(range, sizeof range, "%s %d-%d of %d", list->what, first + 1, first + shown,
                 list->count);
        top_canvas_fill(c, row, column, 19, TOP_PLAIN);
        top_canvas_text(c, row, column, 27, TOP_WARN, range);
    }
    for (int i = 0; i < shown; i++) list->draw(c, m, first + i, row + 1 + i, column, width);
    return hidden;
}

/* Two lists into `rows`, headers among them: what one does not need, the other has. */
static int share_of(int rows, int own, int others)
{
    int room = rows - 2, half = room / 2;
    if (own + others <= room || own <= half) return own + 1;
    return (others <= half ? room - others : half) + 1;
}

static void draw_lists(struct top_canvas *c, const struct top_model *m, struct top_view *v, int row,
                       int rows)
{
    const struct list processes = {m->processes, "processes", process_header, draw_process};
    const struct list saes = {m->saes, "SAEs", sae_header, draw_sae};
    int is_wide = c->columns >= WIDE_COLUMNS, half = c->columns / 2;
    int first = is_wide ? rows : share_of(rows, m->processes, m->saes), width = c->columns - 2;
    int most, hidden;
    if (first > rows) first = rows;
    if (is_wide) {
        /* Drawn once it is known how far they scroll. */
        int a = m->processes - (rows - 1), b = m->saes - (rows - 1);
        most = a > b ? a : b;
        if (v->scroll > most) v->scroll = most > 0 ? most : 0;
        draw_list(c, m, &processes, row, rows, 1, half - 3, v->scroll);
        draw_list(c, m, &saes, row, rows, half + 1, half - 2, v->scroll);
        v->page = rows - 1;
        return;
    }
    int a = m->processes - (first - 1), b = m->saes - (rows - first - 1);
    most = a > b ? a : b;
    if (v->scroll > most) v->scroll = most > 0 ? most : 0;
    hidden = draw_list(c, m, &processes, row, first, 1, width, v->scroll);
    hidden += draw_list(c, m, &saes, row + first, rows - first, 1, width, v->scroll);
    v->page = hidden ? rows / 2 - 1 : rows;
}

/* ---- errors and help ---- */

static void draw_errors(struct top_canvas *c, const struct top_model *m, int row, int rows)
{
    char text[64], ago[32];
    top_canvas_text(c, row, 1, c->columns - 2, TOP_DIM,
                    m->errors       ? "LAST ERRORS"
                    : m->has_errors ? "LAST ERRORS  none"
                                    : "LAST ERRORS  -");
    for (int i = 0; i < m->errors && i < rows - 1; i++) {
        const struct top_error *e = &m->error[i];
        duration(e->seconds_ago, ago, sizeof ago);
        snprintf(text, sizeof text, "%s ago", ago);
        top_canvas_right(c, row + 1 + i, 1, 11, TOP_DIM, text);
        top_canvas_text(c, row + 1 + i, 13, 15, TOP_BOLD, e->process);
        top_canvas_text(c, row + 1 + i, 29, c->columns - 30, TOP_BAD, e->text);
    }
}

static void draw_help(struct top_canvas *c, int row, int rows)
{
    static const char *const lines[] = {
        "q          quit; so does Ctrl-C",
        "p          hold what is shown; once more: go on",
        "h          this page; any key leaves it",
        "arrows     scroll where there are more processes or SAEs than lines;",
        "           so do j and k, PageUp and PageDown, Home and End",
        "",
        "captured   rows that passed the filters   stored   committed to the buffer",
        "shed       dropped, as there was no room  lag      captured, not stored yet",
        "age        of rows when they are drawn    waits    captures stood still",
        "not ready  the process cannot do its work; after a minute it is unwell",
        "",
        "Curves are of the last minutes, as long as this runs, each to its own scale."};
    for (int i = 0; i < (int)(sizeof lines / sizeof *lines) && i < rows; i++)
        top_canvas_text(c, row + i, 3, c->columns - 4, TOP_PLAIN, lines[i]);
}

static int errors_rows(const struct top_canvas *c, const struct top_model *m)
{
    int most = c->rows < LEAST_ROWS ? 1 : c->rows < 30 ? 3 : 9, wanted = 1 + m->errors;
    return wanted < most ? wanted : most;
}

/* Curves get what lists, once they have `fixed` rows more of others, leave free. */
static int rate_rows(const struct top_canvas *c, const struct top_model *m, int fixed)
{
    int both = m->processes + m->saes + 2,
        one = 1 + (m->processes > m->saes ? m->processes : m->saes);
    int rows = (c->rows - fixed - (c->columns >= WIDE_COLUMNS ? one : both)) / RATES;
    return rows < 1 ? 1 : rows > RATE_ROWS ? RATE_ROWS : rows;
}

void top_screen_draw(struct top_canvas *c, const struct top_model *m, struct top_view *v)
{
    int panel = c->columns - PANEL_COLUMNS, errors = errors_rows(c, m);
    int high = v->has_help ? 1 : rate_rows(c, m, 5 + v->advice_rows + errors);
    int row = 1 + RATES * high;
    for (int i = 0; i < c->rows; i++) top_canvas_fill(c, i, 0, c->columns, TOP_PLAIN);
    draw_title(c, m, v);
    draw_rates(c, m, 1, high, panel - 2);
    draw_panel(c, m, 1, panel);
    draw_totals(c, m, row++);
    row += draw_advice(c, m, v, row);
    int rows = c->rows - row - errors - 1;
    if (v->has_help)
        draw_help(c, row, rows + errors);
    else {
        draw_lists(c, m, v, row, rows);
        draw_errors(c, m, c->rows - 1 - errors, errors);
    }
    draw_keys(c);
}
