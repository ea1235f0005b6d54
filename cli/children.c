#include "cli/children.h"

#include "base/err.h"
#include "cli/tail.h"
#include "runtime/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int children_init(struct children *c, int restart)
{
    *c = (struct children){.restart = restart};
    int fd[2];
    if (pipe(fd) != 0) return err_set(ERR_IO, "cannot make a pipe: %s", strerror(errno));
    /* The read end is inherited; the write end is ours alone, so that it closes with us. */
    fcntl(fd[1], F_SETFD, FD_CLOEXEC);
    c->parent_read = fd[0];
    c->parent_write = fd[1];
    return ERR_OK;
}

void children_fini(struct children *c)
{
    for (size_t i = 0; i < c->count; i++) {
        for (char **a = c->child[i].argument; *a; a++) free(*a);
        free(c->child[i].log_file);
    }
    if (c->parent_write >= 0) close(c->parent_write);
    close(c->parent_read);
    c->count = 0;
}

int children_add(struct children *c, enum process_kind role, const char *name,
                 const char *const *arguments, const char *log_file, int keeps_stdin)
{
    if (c->count == CHILDREN_MAX) return err_set(ERR_LIMIT, "over %d processes", CHILDREN_MAX);
    struct child *child = &c->child[c->count++];
    *child = (struct child){.role = role, .back_off_ms = CHILD_BACK_OFF_MS};
    child->keeps_stdin = keeps_stdin;
    snprintf(child->name, sizeof child->name, "%s", name);
    child->log_file = strdup(log_file);
    child->log_from = tail_size(log_file);
    if (!child->log_file) return err_set(ERR_NOMEM, "no memory for a process");
    for (size_t i = 0; arguments[i]; i++) {
        if (i + 1 == CHILD_MAX_ARGUMENTS) return err_set(ERR_LIMIT, "too many arguments");
        child->argument[i] = strdup(arguments[i]);
        if (!child->argument[i]) return err_set(ERR_NOMEM, "no memory for a process");
    }
    return ERR_OK;
}

static void refuse(const struct child *child, const char *what, const char *file)
{
    dprintf(STDERR_FILENO, "level=error process=%s msg=\"cannot %s %s: %s\"\n", child->name, what,
            file, strerror(errno));
    _exit(2);
}

static void become(const struct children *c, const struct child *child)
{
    char text[16];
    setpgid(0, 0);
    int log = open(child->log_file, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (log < 0 && errno == ELOOP) refuse(child, "write its log", child->log_file);
    int null = child->keeps_stdin ? -1 : open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (log >= 0) dup2(log, STDOUT_FILENO);
    if (log >= 0) dup2(log, STDERR_FILENO);
    if (null >= 0) dup2(null, STDIN_FILENO);
    snprintf(text, sizeof text, "%d", c->parent_read);
    setenv("SLUICE_PARENT_FD", text, 1);
    setenv("SLUICE_LOG_FILE", child->log_file, 1);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execv(child->argument[0], child->argument);
    refuse(child, "run", child->argument[0]);
}

static int start(struct children *c, struct child *child)
{
    pid_t pid = fork();
    if (pid < 0) return err_set(ERR_IO, "cannot start %s: %s", child->name, strerror(errno));
    if (pid == 0) become(c, child);
    setpgid(pid, pid); /* here too: whoever comes first, it is done before we signal */
    child->pid = pid;
    child->phase = CHILD_RUNNING;
    return ERR_OK;
}

void child_death(const struct child *child, char *out, size_t bytes)
{
    int code = WEXITSTATUS(child->status);
    if (WIFSIGNALED(child->status))
        snprintf(out, bytes, "signal %d (%s)", WTERMSIG(child->status),
                 strsignal(WTERMSIG(child->status)));
    else
        snprintf(out, bytes, "exit code %d", code == PROCESS_EXIT_FINAL ? 1 : code);
}

static int give_up(struct child *child, int code, const char *why)
{
    char how[64];
    child->phase = CHILD_GIVEN_UP;
    child_death(child, how, sizeof how);
    return err_set(code, "%s ended with %s%s", child->name, how, why);
}

/* Whether it is known that nothing has moved since the oldest of its deaths. */
static int is_in_vain(const struct child *child, const struct child_progress *progress)
{
    return child->role == PROCESS_BROKER || progress->answers > child->at_first.answers;
}

static int mourn(struct children *c, struct child *child, int64_t now_ms,
                 const struct child_progress *progress)
{
    int clean = WIFEXITED(child->status) && WEXITSTATUS(child->status) == 0;
    int usage = WIFEXITED(child->status) && WEXITSTATUS(child->status) == 2;
    child->pid = 0;
    if (c->stopping || clean) {
        child->phase = CHILD_DONE;
        return ERR_OK;
    }
    if (usage) return give_up(child, ERR_USAGE, "");
    if (WIFEXITED(child->status) && WEXITSTATUS(child->status) == PROCESS_EXIT_FINAL)
        return give_up(child, ERR_FORMAT, "; no second try would mend that");
    if (!c->restart) return give_up(child, ERR_STATE, ", and up.restart is false");
    if (progress->moved != child->at_first.moved) {
        child->deaths = 0;
        child->back_off_ms = CHILD_BACK_OFF_MS;
    }
    if (child->deaths == 0) child->at_first = *progress;
    for (int i = CHILD_DEATHS - 1; i > 0; i--) child->death_ms[i] = child->death_ms[i - 1];
    child->death_ms[0] = now_ms;
    child->deaths++;
    child->restarts++;
    if (child->deaths >= CHILD_DEATHS && is_in_vain(child, progress) &&
        now_ms - child->death_ms[CHILD_DEATHS - 1] <= CHILD_DEATHS_MS)
        return give_up(child, ERR_STATE,
                       ", five times within a minute and nothing moved meanwhile");
    child->phase = CHILD_WAITING;
    child->start_ms = now_ms + child->back_off_ms;
    child->back_off_ms *= 2;
    if (child->back_off_ms > CHILD_BACK_OFF_MAX_MS) child->back_off_ms = CHILD_BACK_OFF_MAX_MS;
    return ERR_OK;
}

int children_tend(struct children *c, int64_t now_ms, const struct child_progress *progress)
{
    int result = ERR_OK;
    for (size_t i = 0; i < c->count && result == ERR_OK; i++) {
        struct child *child = &c->child[i];
        if (child->phase == CHILD_RUNNING && waitpid(child->pid, &child->status, WNOHANG) > 0)
            result = mourn(c, child, now_ms, progress);
        if (result == ERR_OK && child->phase == CHILD_WAITING && c->stopping)
            child->phase = CHILD_DONE;
        if (result == ERR_OK && child->phase == CHILD_WAITING && now_ms >= child->start_ms)
            result = start(c, child);
    }
    return result;
}

void child_revive(struct child *child, int64_t now_ms)
{
    if (child->phase != CHILD_DONE) return;
    child->phase = CHILD_WAITING;
    child->start_ms = now_ms + CHILD_REVIVE_MS;
    child->restarts++;
}

void children_revive(struct children *c, enum process_kind role, int64_t now_ms)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->child[i].role == role) child_revive(&c->child[i], now_ms);
}

void children_signal(struct children *c, enum process_kind role, int signal)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->child[i].role == role && c->child[i].phase == CHILD_RUNNING)
            kill(c->child[i].pid, signal);
}

size_t children_left(const struct children *c, enum process_kind role)
{
    size_t left = 0;
    for (size_t i = 0; i < c->count; i++)
        left += c->child[i].role == role &&
                (c->child[i].phase == CHILD_RUNNING || c->child[i].phase == CHILD_WAITING);
    return left;
}

size_t children_running(const struct children *c, enum process_kind role)
{
    size_t running = 0;
    for (size_t i = 0; i < c->count; i++)
        running += c->child[i].role == role && c->child[i].phase == CHILD_RUNNING;
    return running;
}
