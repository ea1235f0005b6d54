#include "tests/hosts/processor.h"

#include "base/err.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The first line of /proc/PID/task/TID/NAME into line[bytes]; 0 where there is none. */
static int task_line(pid_t pid, const char *task, const char *name, char *line, int bytes)
{
    char path[300];
    snprintf(path, sizeof path, "/proc/%d/task/%s/%s", (int)pid, task, name);
    FILE *file = fopen(path, "r");
    int found = file && fgets(line, bytes, file);
    if (file) fclose(file);
    return found;
}

/* User and system ticks: the 14th and 15th of stat, counted behind the name, which may have spaces. */
static double ticks_seconds(const char *line)
{
    unsigned long user = 0, kernel = 0;
    const char *rest = strrchr(line, ')');
    if (!rest || sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
                        &kernel) != 2)
        return 0;
    return (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
}

static double task_seconds(pid_t pid, const char *task)
{
    char line[1024];
    unsigned long long ns;
    if (task_line(pid, task, "schedstat", line, sizeof line) && sscanf(line, "%llu", &ns) == 1 &&
        ns)
        return (double)ns * 1e-9;
    return task_line(pid, task, "stat", line, sizeof line) ? ticks_seconds(line) : 0;
}

int processor_seconds_of(pid_t pid, struct processor_seconds *seconds)
{
    char path[64], name[64];
    clockid_t clock;
    struct timespec all;
    struct dirent *entry;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    if (!tasks || clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &all) != 0) {
        if (tasks) closedir(tasks);
        return err_set(ERR_NOTFOUND, "there is no process %d", (int)pid);
    }
    seconds->others = 0;
    while ((entry = readdir(tasks)))
        if (entry->d_name[0] != '.' && task_line(pid, entry->d_name, "comm", name, sizeof name) &&
            strncmp(name, "sluice", 6) == 0)
            seconds->others += task_seconds(pid, entry->d_name);
    closedir(tasks);
    seconds->own = (double)all.tv_sec + (double)all.tv_nsec * 1e-9 - seconds->others;
    return ERR_OK;
}
