#include "engine/llama_guard.h"

#include <ggml.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { REASON_BYTES = 400, ALTERNATE_STACK_BYTES = 64 << 10, EXIT_USAGE = 2 };

static const int crashes[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
enum { CRASHES = sizeof crashes / sizeof *crashes };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static atomic_int inside; /* calls of llama.cpp under way */
static char reason[REASON_BYTES];
static void (*listener)(const char *reason);

/* One line without quotes; the source's folder says nothing to a user. */
static void keep_reason(const char *text)
{
    size_t place = strcspn(text, ":"), n = 0; /* FILE:LINE: ... */
    const char *from = text;
    for (size_t i = 0; i < place; i++)
        if (text[i] == '/') from = text + i + 1;
    for (const char *p = from; *p && n + 1 < sizeof reason; p++)
        reason[n++] = *p == '"' || *p == '\n' || *p == '\r' ? ' ' : *p;
    reason[n] = '\0';
    if (listener) listener(reason);
}

static void say(const char *text)
{
    ssize_t ignored = write(STDERR_FILENO, text, strlen(text));
    (void)ignored;
}

static void on_crash(int number)
{
    if (atomic_load(&inside) == 0) {
        signal(number, SIG_DFL);
        raise(number);
        return;
    }
    say("level=error msg=\"llama.cpp failed inside (");
    say(reason[0]           ? reason
        : number == SIGABRT ? "an exception"
        : number == SIGSEGV ? "a wrong address, or its stack is full"
        : number == SIGBUS  ? "a page of the model's file cannot be read"
                            : "a wrong instruction or division");
    say("): it cannot run this model on this text; HINT: try capture.exact_model: true, another "
        "text, or another model\"\n");
    _exit(EXIT_USAGE);
}

static void set(void (*handler)(int), int only_default)
{
    for (size_t i = 0; i < CRASHES; i++) {
        struct sigaction old, action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
        sigemptyset(&action.sa_mask);
        sigaction(crashes[i], NULL, &old);
        if (only_default && old.sa_handler != SIG_DFL) continue;
        if (!only_default && old.sa_handler != on_crash) continue;
        sigaction(crashes[i], &action, NULL);
    }
}

static void start(void)
{
    ggml_set_abort_callback(keep_reason);
    setenv("GGML_NO_BACKTRACE", "1", 0); /* it would start a debugger */
    set(on_crash, 1);
}

/* A full stack leaves no room for the handler, so each thread gets a second one, for ever. */
static void have_alternate_stack(void)
{
    static _Thread_local int has_one;
    if (has_one) return;
    has_one = 1;
    stack_t old, stack = {.ss_size = ALTERNATE_STACK_BYTES};
    if (sigaltstack(NULL, &old) == 0 && !(old.ss_flags & SS_DISABLE)) return;
    stack.ss_sp = malloc(stack.ss_size);
    if (stack.ss_sp) sigaltstack(&stack, NULL);
}

void llama_guard_enter(void)
{
    pthread_once(&once, start);
    have_alternate_stack();
    atomic_fetch_add(&inside, 1);
}

void llama_guard_leave(void)
{
    atomic_fetch_sub(&inside, 1);
}

void llama_guard_off(void)
{
    pthread_once(&once, start);
    set(SIG_DFL, 0);
}

void llama_guard_on_abort(void (*fn)(const char *reason))
{
    listener = fn;
}
