#include "runtime/loop.h"

#include "base/err.h"

#include <signal.h>
#include <stdlib.h>
#include <uv.h>

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

void loop_run(struct uv_loop_s *loop)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    enum { SIGNALS = sizeof numbers / sizeof *numbers };
    uv_signal_t signals[SIGNALS];
    for (int i = 0; i < SIGNALS; i++) {
        uv_signal_init(loop, &signals[i]);
        uv_signal_start(&signals[i], on_signal, numbers[i]);
    }
    uv_run(loop, UV_RUN_DEFAULT);
    for (int i = 0; i < SIGNALS; i++) uv_close((uv_handle_t *)&signals[i], NULL);
    uv_run(loop, UV_RUN_NOWAIT);
}

void loop_close(struct uv_loop_s *loop)
{
    uv_run(loop, UV_RUN_DEFAULT);
    uv_loop_close(loop);
    free(loop);
}
