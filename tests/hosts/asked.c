#include "tests/hosts/asked.h"

#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { IN, OUT };

static void become(const char *command, int in, int out)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(in, 0);
    dup2(out, 1);
    setenv("OMP_WAIT_POLICY", "passive", 1);
    execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    _exit(127);
}

int asked_start(const char *command, struct asked *asked)
{
    int question[2], answer[2];
    if (pipe2(question, O_CLOEXEC) != 0 || pipe2(answer, O_CLOEXEC) != 0)
        return err_set(ERR_IO, "no pipe: %s", strerror(errno));
    asked->pid = fork();
    if (asked->pid == 0) become(command, question[IN], answer[OUT]);
    close(question[IN]);
    close(answer[OUT]);
    asked->to = fdopen(question[OUT], "w");
    asked->from = fdopen(answer[IN], "r");
    if (asked->pid > 0 && asked->to && asked->from) return ERR_OK;
    return err_set(ERR_IO, "cannot start it: %s", strerror(errno));
}

int asked_run(struct asked *asked, struct asked_figures *f)
{
    char line[512];
    fputc('\n', asked->to);
    if (fflush(asked->to) != 0 || !fgets(line, sizeof line, asked->from))
        return err_set(ERR_STATE, "the host ended");
    json_t *figures = json_loads(line, 0, NULL);
    json_int_t tokens = 0;
    int bad = json_unpack(figures, "{s:I, s:F, s:F}", "tokens", &tokens, "seconds", &f->seconds,
                          "p99_ms", &f->p99_ms);
    f->tokens = (long)tokens;
    json_decref(figures);
    return bad ? err_set(ERR_FORMAT, "these are no figures: %s", line) : ERR_OK;
}

void asked_stop(struct asked *asked)
{
    if (!asked->pid) return;
    if (asked->to) fclose(asked->to);
    waitpid(asked->pid, NULL, 0);
    if (asked->from) fclose(asked->from);
    asked->pid = 0;
}
