#include "runtime/signals.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static uv_async_t *wakes; /* the handlers get no argument */
static volatile sig_atomic_t signals;

/* Memory that is a file's, and the file has no more bytes there. Nothing can be trusted any more, so
 * the line was made ready before. */
static char bus_line[320];

static void say_and_exit(const char *text, size_t bytes)
{
    ssize_t ignored = write(STDERR_FILENO, text, bytes);
    (void)ignored;
    _exit(1);
}

static void on_signal(int number)
{
    static const char late[] = "sluice: the drain took too long; stopped\n";
    static const char twice[] = "sluice: second signal; stopped at once\n";
    if (number == SIGALRM) say_and_exit(late, sizeof late - 1);
    if (signals++ > 0) say_and_exit(twice, sizeof twice - 1);
    uv_async_send(wakes);
}

static void on_bus(int number)
{
    (void)number;
    say_and_exit(bus_line, strlen(bus_line));
}

static void handle(int number, void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

void signals_handle(const char *name, uv_async_t *first)
{
    wakes = first;
    snprintf(bus_line, sizeof bus_line,
             "level=error process=%.63s msg=\"SIGBUS: a file that is open as memory (the buffer's "
             "data.mdb or lock.mdb, a checkpoint, a model) was cut short, or its disk is full or "
             "fails; stopped at once: what is damaged is found at the next start\"\n",
             name);
    handle(SIGTERM, on_signal, SA_RESTART);
    handle(SIGINT, on_signal, SA_RESTART);
    handle(SIGALRM, on_signal, SA_RESTART);
    handle(SIGBUS, on_bus, SA_RESETHAND);
    handle(SIGPIPE, SIG_IGN, 0);
    handle(SIGXFSZ, SIG_IGN, 0); /* a file past ulimit -f is an error of its write */
}

void signals_limit(unsigned seconds)
{
    alarm(seconds);
}

void signals_end(void)
{
    handle(SIGTERM, SIG_IGN, 0);
    handle(SIGINT, SIG_IGN, 0);
}
