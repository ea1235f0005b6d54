/* `sluice top`: a running stream, in the terminal, once a second. */
#include "cli/commands.h"

#include "base/clock.h"
#include "base/err.h"
#include "cli/snapshot.h"
#include "cli/streams.h"
#include "cli/top_model.h"
#include "cli/top_screen.h"
#include "cli/top_terminal.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { INTERVAL_MS = 1000 };

static volatile sig_atomic_t is_told_to_end;

static void on_signal(int number)
{
    (void)number;
    is_told_to_end = 1;
}

/* Before the terminal is taken: ncurses leaves handlers alone that are there. */
static void handle_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

struct top {
    const struct config *config; /* that names the broker */
    const struct config *whole;  /* that declares the processes; NULL: not known */
    struct ask *ask;
    struct top_model *model;
    struct top_view view;
    struct top_canvas canvas;
    int64_t asked_ms, due_ms;
};

static void ask(struct top *t)
{
    json_t *status = NULL;
    int64_t now_ms = clock_steady_ms();
    double passed = t->asked_ms ? (double)(now_ms - t->asked_ms) / 1000 : 0;
    if (snapshot_ask(t->config, t->ask, &status) != ERR_OK) status = NULL;
    top_model_take(t->model, t->whole, status, passed);
    json_decref(status);
    t->asked_ms = now_ms;
    t->due_ms = now_ms + INTERVAL_MS;
}

static int draw(struct top *t)
{
    time_t now = time(NULL);
    struct tm local;
    int result = top_terminal_fit(&t->canvas);
    if (result != ERR_OK) return result;
    if (localtime_r(&now, &local) && !t->view.is_paused)
        strftime(t->view.clock, sizeof t->view.clock, "%H:%M:%S", &local);
    top_screen_draw(&t->canvas, t->model, &t->view);
    top_terminal_show(&t->canvas);
    return ERR_OK;
}

static void scroll(struct top_view *v, int by)
{
    v->scroll = by < -v->scroll ? 0 : v->scroll + by; /* the screen knows how far it goes */
}

/* 1: that was the last key. */
static int act(struct top *t, enum top_key key)
{
    struct top_view *v = &t->view;
    int had_help = v->has_help, page = v->page > 1 ? v->page : 1;
    if (key == TOP_KEY_QUIT) return 1;
    if (key != TOP_KEY_RESIZE) v->has_help = key == TOP_KEY_HELP && !had_help;
    if (key == TOP_KEY_PAUSE) v->is_paused = !v->is_paused;
    if (key == TOP_KEY_UP) scroll(v, -1);
    if (key == TOP_KEY_DOWN) scroll(v, 1);
    if (key == TOP_KEY_PAGE_UP) scroll(v, -page);
    if (key == TOP_KEY_PAGE_DOWN) scroll(v, page);
    if (key == TOP_KEY_HOME) v->scroll = 0;
    if (key == TOP_KEY_END) v->scroll = ROSTER_MAX;
    return 0;
}

static int watch(struct top *t)
{
    int result = ERR_OK;
    while (result == ERR_OK && !is_told_to_end) {
        int64_t left_ms = t->due_ms - clock_steady_ms();
        enum top_key key = top_terminal_key((int)(left_ms > INTERVAL_MS ? INTERVAL_MS : left_ms));
        if (key != TOP_KEY_NONE && act(t, key)) break;
        if (is_told_to_end) break;
        int is_due = clock_steady_ms() >= t->due_ms;
        if (is_due && t->view.is_paused)
            t->due_ms = clock_steady_ms() + INTERVAL_MS;
        else if (is_due)
            ask(t);
        if (is_due || key != TOP_KEY_NONE) result = draw(t);
    }
    return result;
}

static int top(const struct config *config, const struct config *whole)
{
    struct top t = {.config = config, .whole = whole};
    handle_signals();
    int result = snapshot_open(config, &t.ask);
    if (result == ERR_OK && !(t.model = top_model_new(config->stream.name)))
        result = err_set(ERR_NOMEM, "no memory for the numbers of a stream");
    if (result == ERR_OK) result = top_terminal_open();
    if (result == ERR_OK) {
        ask(&t);
        result = draw(&t);
        if (result == ERR_OK) result = watch(&t);
        top_terminal_close();
    }
    ask_close(t.ask);
    free(t.model);
    free(t.canvas.cell);
    return result;
}

/* None runs, or several. */
static int refuse(const struct streams *s)
{
    char names[512] = "";
    size_t used = 0;
    int running = 0;
    for (int i = 0; i < s->count; i++) {
        if (s->found[i].state != STREAMS_RUNNING) continue;
        if (used < sizeof names)
            used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", running ? ", " : "",
                                     s->found[i].config->stream.name);
        running++;
    }
    if (running)
        return err_set(ERR_USAGE, "%d streams run here: %s; HINT: say which: sluice top FILE",
                       running, names);
    return err_set(ERR_STATE,
                   "no stream runs here, as far as %s tells; HINT: sluice top FILE, where it has a "
                   "stream.run_dir of its own or runs on another host",
                   s->folder);
}

static int top_the_one(void)
{
    static struct streams s; /* large */
    const struct config *one = NULL;
    int running = 0, result = streams_find(&s);
    for (int i = 0; i < s.count; i++) {
        if (s.found[i].state != STREAMS_RUNNING) continue;
        running++;
        one = s.found[i].config;
    }
    if (result == ERR_OK) result = running == 1 ? top(one, NULL) : refuse(&s);
    streams_free(&s);
    return result;
}

int top_command(const struct options *options, const struct config *config)
{
    (void)options;
    return config ? top(config, config) : top_the_one();
}
