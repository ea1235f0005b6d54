#include "tests/hosts/reader.h"

#include "base/err.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { BEGIN_SECONDS = 5, END_SECONDS = 10 };

static pid_t reader; /* 0: none; also its group */

static void sleep_tenth(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
}

static void become(const char *command)
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(2, 1);
    execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    _exit(127);
}

int reader_begin(const char *command, const char *state)
{
    reader = fork();
    if (reader == 0) become(command);
    if (reader < 0) {
        reader = 0;
        return err_set(ERR_IO, "the reader cannot be started: %s", strerror(errno));
    }
    setpgid(reader, reader);
    for (int tenths = 0; tenths < BEGIN_SECONDS * 10; tenths++) {
        sleep_tenth();
        if (waitpid(reader, NULL, WNOHANG) != reader) continue;
        reader = 0;
        return err_set(ERR_STATE, "the reader ended: %s", command);
    }
    return reader_change(state);
}

int reader_change(const char *state)
{
    int signal = strcmp(state, "running") == 0   ? SIGCONT
                 : strcmp(state, "stopped") == 0 ? SIGSTOP
                 : strcmp(state, "killed") == 0  ? SIGKILL
                                                 : 0;
    if (!signal) return err_set(ERR_USAGE, "running, stopped or killed, not '%s'", state);
    if (!reader) return ERR_OK;
    kill(-reader, signal);
    if (signal != SIGKILL) return ERR_OK;
    waitpid(reader, NULL, 0);
    reader = 0;
    return ERR_OK;
}

void reader_end(void)
{
    if (!reader) return;
    kill(-reader, SIGCONT);
    kill(-reader, SIGTERM);
    for (int tenths = 0; tenths < END_SECONDS * 10; tenths++) {
        if (waitpid(reader, NULL, WNOHANG) == reader) {
            reader = 0;
            return;
        }
        sleep_tenth();
    }
    reader_change("killed");
}
