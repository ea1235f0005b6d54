#include "engine/llama_trial.h"

#include "base/err.h"
#include "engine/llama_guard.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TEXT_BYTES = 1024, STACK_BYTES = 64 << 20 };

enum note_kind { NOTE_TELL, NOTE_ABORT, NOTE_END };

/* What goes through the pipe, one after another; NOTE_END is followed by the answer. */
struct note {
    int32_t kind, code;
    char text[TEXT_BYTES];
};

struct llama_trial {
    int out;
    llama_trial_work work;
    void *arg, *answer;
    size_t answer_bytes;
};

/* ---- the child ---- */

static int abort_out; /* for keep_reason(), which gets no argument */

static void write_all(int fd, const void *data, size_t size)
{
    const char *p = data;
    while (size > 0) {
        ssize_t n = write(fd, p, size);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) _exit(1); /* nobody is there to hear */
        p += n;
        size -= (size_t)n;
    }
}

static void send_note(int fd, enum note_kind kind, int code, const char *text)
{
    struct note note = {.kind = kind, .code = code};
    snprintf(note.text, sizeof note.text, "%s", text);
    write_all(fd, &note, sizeof note);
}

void llama_trial_tell(struct llama_trial *trial, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    send_note(trial->out, NOTE_TELL, ERR_OK, text);
}

static void send_reason(const char *reason)
{
    send_note(abort_out, NOTE_ABORT, ERR_OK, reason);
}

static void finish(struct llama_trial *t, int code)
{
    send_note(t->out, NOTE_END, code, code == ERR_OK ? "" : err_text());
    write_all(t->out, t->answer, t->answer_bytes);
    _exit(0);
}

static void *do_work(void *arg)
{
    struct llama_trial *t = arg;
    finish(t, t->work(t, t->arg, t->answer));
    return NULL;
}

/* On a new thread, since libgomp would wait for the threads that the parent's main thread had. */
static void be_child(struct llama_trial *t, pid_t parent)
{
    struct rlimit none = {0, 0};
    pthread_attr_t attributes;
    pthread_t thread;
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1); /* it died before the line above */
    int quiet = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (quiet >= 0) dup2(quiet, STDERR_FILENO); /* "terminate called after ..." */
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* an error of the write in place of a death */
    llama_guard_off();
    abort_out = t->out;
    llama_guard_on_abort(send_reason);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    int failed = pthread_create(&thread, &attributes, do_work, t);
    if (failed)
        finish(t, err_set(ERR_NOMEM,
                          "cannot start a thread with a stack of %d MiB: %s; HINT: raise "
                          "ulimit -v or ulimit -u",
                          STACK_BYTES >> 20, strerror(failed)));
    pthread_join(thread, NULL);
    _exit(1);
}

/* ---- the parent ---- */

/* Whether all of `size` came; 0 where the child has closed its end. */
static int read_all(int fd, void *data, size_t size)
{
    char *p = data;
    while (size > 0) {
        ssize_t n = read(fd, p, size);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return 0;
        p += n;
        size -= (size_t)n;
    }
    return 1;
}

struct outcome {
    int ended, code;
    char text[TEXT_BYTES];   /* of the end */
    char reason[TEXT_BYTES]; /* of an abort */
};

static void listen(const struct llama_trial *t, int in, struct outcome *o,
                   void (*tell)(void *arg, const char *sentence), void *tell_arg)
{
    struct note note;
    while (!o->ended && read_all(in, &note, sizeof note)) {
        note.text[TEXT_BYTES - 1] = '\0';
        if (note.kind == NOTE_TELL && tell) tell(tell_arg, note.text);
        if (note.kind == NOTE_ABORT) memcpy(o->reason, note.text, TEXT_BYTES);
        if (note.kind != NOTE_END) continue;
        memcpy(o->text, note.text, TEXT_BYTES);
        o->code = note.code;
        o->ended = read_all(in, t->answer, t->answer_bytes);
    }
}

static int judge(const char *doing, const struct outcome *o, int status)
{
    if (o->ended) return o->code == ERR_OK ? ERR_OK : err_set(o->code, "%s", o->text);
    if (!WIFSIGNALED(status))
        return err_set(ERR_IO, "the process that was %s ended without an answer", doing);
    int number = WTERMSIG(status);
    int is_own = number == SIGABRT || number == SIGSEGV || number == SIGBUS || number == SIGFPE ||
                 number == SIGILL;
    if (!is_own && number != SIGKILL) /* somebody else's: a limit, a service that is stopped */
        return err_set(ERR_IO, "the process that was %s was stopped by signal %d (%s)", doing,
                       number, strsignal(number));
    if (number == SIGKILL)
        return err_set(ERR_NOMEM,
                       "the process that was %s was killed, perhaps because memory ran out", doing);
    return err_set(ERR_FORMAT, "llama.cpp failed while it was %s: signal %d (%s)%s%s", doing,
                   number, strsignal(number), o->reason[0] ? ", " : "", o->reason);
}

int llama_trial_run(const char *doing, llama_trial_work work, void *arg, void *answer,
                    size_t answer_bytes, void (*tell)(void *arg, const char *sentence),
                    void *tell_arg)
{
    int fd[2], status = 0;
    pid_t parent = getpid();
    if (pipe2(fd, O_CLOEXEC) != 0)
        return err_set(ERR_IO, "cannot make a pipe: %s", strerror(errno));
    struct llama_trial trial = {fd[1], work, arg, answer, answer_bytes};
    struct outcome outcome = {0};
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        close(fd[0]);
        be_child(&trial, parent);
    }
    close(fd[1]);
    if (pid < 0) {
        close(fd[0]);
        return err_set(ERR_IO, "cannot start a process for a trial: %s", strerror(errno));
    }
    listen(&trial, fd[0], &outcome, tell, tell_arg);
    close(fd[0]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
    return judge(doing, &outcome, status);
}
