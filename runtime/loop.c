#include "runtime/loop.h"

#include "base/err.h"

#include <stdlib.h>
#include <uv.h>

static const int numbers[LOOP_SIGNALS] = {SIGINT, SIGTERM, SIGHUP};

int loop_open(struct uv_loop_s **out)
{
    uv_loop_t *loop = malloc(sizeof *loop);
    if (!loop) return err_set(ERR_NOMEM, "no memory for an event loop");
    int error = uv_loop_init(loop);
    if (error != 0) {
        free(loop);
        return err_set(ERR_IO, "no event loop: %s", uv_strerror(error));
    }
    *out = loop;
    return ERR_OK;
}

static void on_signal(uv_signal_t *signal, int number)
{
    (void)number;
    uv_stop(signal->loop);
}

static int is_ignored(int number)
{
    struct sigaction now;
    return sigaction(number, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

void loop_run(struct uv_loop_s *loop)
{
    uv_signal_t signals[LOOP_SIGNALS];
    for (int i = 0; i < LOOP_SIGNALS; i++) {
        uv_signal_init(loop, &signals[i]);
        if (!is_ignored(numbers[i])) uv_signal_start(&signals[i], on_signal, numbers[i]);
    }
    uv_run(loop, UV_RUN_DEFAULT);
    for (int i = 0; i < LOOP_SIGNALS; i++) uv_close((uv_handle_t *)&signals[i], NULL);
    uv_run(loop, UV_RUN_NOWAIT);
}

void loop_begin_long(struct loop_signals *signals)
{
    const struct sigaction ends = {.sa_handler = SIG_DFL};
    for (int i = 0; i < LOOP_SIGNALS; i++) {
        sigaction(numbers[i], NULL, &signals->were[i]);
        if (signals->were[i].sa_handler != SIG_IGN) sigaction(numbers[i], &ends, NULL);
    }
}

void loop_end_long(const struct loop_signals *signals)
{
    for (int i = 0; i < LOOP_SIGNALS; i++) sigaction(numbers[i], &signals->were[i], NULL);
}

void loop_close(struct uv_loop_s *loop)
{
    uv_run(loop, UV_RUN_DEFAULT);
    uv_loop_close(loop);
    free(loop);
}
