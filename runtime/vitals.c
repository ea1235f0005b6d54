#include "runtime/vitals.h"

#include "base/clock.h"
#include "proto/report.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { STATUS_BYTES = 4096 };

#define VITALS(M)                                                                                  \
    M(MEMORY, GAUGE, REPORT(PROCESS_MEMORY_BYTES), "bytes",                                        \
      "Anonymous and shared memory that is resident (RssAnon + RssShmem).")                        \
    M(MAPPED, GAUGE, "sluice_process_mapped_bytes", "bytes",                                       \
      "Resident pages of mapped files (RssFile). The kernel may take them back.")                  \
    M(CPU, COUNTER, REPORT(PROCESS_CPU_SECONDS), "seconds",                                        \
      "Processor time used, user and system.")                                                     \
    M(UNREADY, GAUGE, REPORT(PROCESS_UNREADY_SECONDS), "seconds",                                  \
      "For how long it could not do its work; 0: it does. From 60 on /healthz says so.")           \
    M(STARTED, GAUGE, REPORT(PROCESS_START_SECONDS), "seconds",                                    \
      "When the process started, counted from 1970.")

enum { VITALS(METRIC_ID) COUNT };
const struct metric vitals_metrics[] = {VITALS(METRIC_ROW)};
const size_t vitals_count = COUNT;

static double status_bytes(const char *status, const char *key)
{
    const char *line = strstr(status, key);
    return line ? 1024 * strtod(line + strlen(key), NULL) : 0;
}

void vitals_measure(struct metrics *m, size_t first)
{
    char status[STATUS_BYTES] = "";
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t n = read(fd, status, sizeof status - 1);
        status[n > 0 ? n : 0] = '\0';
        close(fd);
    }
    metrics_set(m, first + GAUGE_MEMORY,
                status_bytes(status, "RssAnon:") + status_bytes(status, "RssShmem:"));
    metrics_set(m, first + GAUGE_MAPPED, status_bytes(status, "RssFile:"));
    metrics_set(m, first + GAUGE_CPU, (double)clock_ns(CLOCK_PROCESS_CPUTIME_ID) / 1e9);
}

void vitals_begin(struct metrics *m, size_t first)
{
    metrics_set(m, first + GAUGE_STARTED, (double)clock_ns(CLOCK_REALTIME) / 1e9);
}

void vitals_unready(struct metrics *m, size_t first, double seconds)
{
    metrics_set(m, first + GAUGE_UNREADY, seconds);
}
