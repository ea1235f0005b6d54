#include "tap/tell.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

/* A pipe that is ready has room for a line. */
static int is_heard(int fd)
{
    struct pollfd polled = {.fd = fd, .events = POLLOUT};
    return poll(&polled, 1, 0) == 1 && polled.revents == POLLOUT;
}

void tell_once(int *once, const char *text)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    char line[700];
    pthread_mutex_lock(&lock);
    int is_first = !*once;
    *once = 1;
    pthread_mutex_unlock(&lock);
    int n = snprintf(line, sizeof line, "sluice: %s\n", text);
    if (n >= (int)sizeof line) n = sizeof line - 1;
    if (is_first && is_heard(STDERR_FILENO) && write(STDERR_FILENO, line, (size_t)n) < 0) return;
}
