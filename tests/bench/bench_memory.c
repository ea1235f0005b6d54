/*
 * Peak memory of a command and of every process that it starts.
 *
 *   bench_memory FILE COMMAND [ARGUMENT...]
 *
 * FILE gets a line a process, "NAME anon_shared_mib=N file_mib=N" (each its own peak), and a last
 * one, "all anon_shared_mib=N", the largest sum at one moment. File pages are a program's code and
 * the resident part of what it maps. Exits as COMMAND does.
 *
 * The processes are those of one session, looked up in /proc five times per second.
 */
#include <ctype.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_PROCESSES = 256, NAME_BYTES = 32 };
static const struct timespec pause_between = {.tv_nsec = 200 * 1000 * 1000};

struct seen {
    pid_t pid;
    char name[NAME_BYTES];
    long own_kib, file_kib; /* peaks; own: anonymous and shared memory */
};

static struct seen processes[MAX_PROCESSES];
static int count;
static long all_kib;

static int read_text(pid_t pid, const char *name, char *text, size_t room)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    FILE *file = fopen(path, "r");
    if (!file) return 0;
    size_t bytes = fread(text, 1, room - 1, file);
    fclose(file);
    text[bytes] = 0;
    return bytes > 0;
}

static pid_t session_of(pid_t pid)
{
    char text[1024];
    int session = 0;
    if (!read_text(pid, "stat", text, sizeof text)) return 0;
    const char *after_name = strrchr(text, ')');
    if (after_name && sscanf(after_name + 1, " %*c %*d %*d %d", &session) != 1) session = 0;
    return session;
}

static struct seen *find(pid_t pid)
{
    for (int i = 0; i < count; i++)
        if (processes[i].pid == pid) return &processes[i];
    if (count == MAX_PROCESSES) return NULL;
    processes[count].pid = pid;
    return &processes[count++];
}

static long kib(const char *status, const char *key)
{
    const char *line = strstr(status, key);
    return line ? strtol(line + strlen(key), NULL, 10) : 0;
}

/* Anonymous and shared memory of a process now; its peaks are kept. */
static long look_at(pid_t pid)
{
    char status[8192];
    if (!read_text(pid, "status", status, sizeof status)) return 0;
    struct seen *p = find(pid);
    if (!p) return 0;
    /* The name that it has last: a program is started by a copy of its parent. */
    sscanf(status, "Name: %31s", p->name);
    long own = kib(status, "RssAnon:") + kib(status, "RssShmem:"), file = kib(status, "RssFile:");
    if (own > p->own_kib) p->own_kib = own;
    if (file > p->file_kib) p->file_kib = file;
    return own;
}

static void look(pid_t session)
{
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    long sum = 0;
    while (proc && (entry = readdir(proc))) {
        pid_t pid = isdigit((unsigned char)entry->d_name[0]) ? atoi(entry->d_name) : 0;
        if (pid && session_of(pid) == session) sum += look_at(pid);
    }
    if (proc) closedir(proc);
    if (sum > all_kib) all_kib = sum;
}

static int report(const char *path)
{
    FILE *out = fopen(path, "w");
    if (!out) return 1;
    for (int i = 0; i < count; i++)
        fprintf(out, "%s anon_shared_mib=%.1f file_mib=%.1f\n", processes[i].name,
                (double)processes[i].own_kib / 1024, (double)processes[i].file_kib / 1024);
    fprintf(out, "all anon_shared_mib=%.1f\n", (double)all_kib / 1024);
    return fclose(out) != 0;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: bench_memory FILE COMMAND [ARGUMENT...]\n");
        return 2;
    }
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        setsid();
        execvp(argv[2], argv + 2);
        fprintf(stderr, "bench_memory: cannot run %s\n", argv[2]);
        _exit(127);
    }
    int status = 0;
    while (child > 0 && waitpid(child, &status, WNOHANG) == 0) {
        look(child);
        nanosleep(&pause_between, NULL);
    }
    if (child < 0 || report(argv[1])) {
        fprintf(stderr, "bench_memory: cannot start %s or write %s\n", argv[2], argv[1]);
        return 1;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
