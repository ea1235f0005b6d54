/* What reads a live stream while hosts are measured or tested: one command of this process, with all
 * that it starts, which may be stopped or killed. */
#ifndef SLUICE_TESTS_HOSTS_READER_H
#define SLUICE_TESTS_HOSTS_READER_H

/* Start it by the shell, in a process group of its own, give it 5 seconds to be at work, and bring it
 * into a state: "running", "stopped" (SIGSTOP) or "killed" (SIGKILL), each for the whole group.
 * ERR_USAGE: another word; ERR_STATE: it ended before; ERR_IO. */
int reader_begin(const char *command, const char *state);
/* Into another state; a killed one stays so. */
int reader_change(const char *state);
/* SIGTERM, and SIGKILL 10 seconds later, if there is one. */
void reader_end(void);

#endif
