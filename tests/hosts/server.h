/*
 * The HTTP servers that Sluice captures from, as processes: unchanged programs, started by the command
 * that a user gives, with the words of a prefix in front of it ("sluice tap FILE --"). They end with
 * the process that started them at the latest.
 */
#ifndef SLUICE_TESTS_HOSTS_SERVER_H
#define SLUICE_TESTS_HOSTS_SERVER_H

#include <sys/types.h>

enum server_kind {
    SERVER_PYTHON, /* llama_cpp.server: finds libllama by dlsym; one request at a time */
    SERVER_LLAMA,  /* llama-server: links libllama; as many at once as it has slots */
};

struct server_options {
    enum server_kind kind;
    const char *model;  /* GGUF */
    const char *prefix; /* words that blanks separate; NULL or "": none */
    const char *log;    /* file for what it says */
    int slots, context_tokens, ubatch_tokens, threads;
};

struct server {
    pid_t pid; /* 0: none */
    int port;
};

/* Its name, for people. */
const char *server_name(enum server_kind kind);
/* Start it, and wait until it answers; SLUICE_HOST_PYTHON and SLUICE_HOST_SERVER (scripts/hosts.sh) say
 * where the programs are. Idle threads of its sleep (OMP_WAIT_POLICY): tests share the machine.
 * ERR_NOTFOUND: the program is not there; ERR_AGAIN: no answer in 120 seconds; ERR_STATE: it ended. */
int server_start(const struct server_options *options, struct server *server);
/* SIGTERM, and SIGKILL 60 seconds later. Its exit code, or minus its signal. */
int server_stop(struct server *server);

#endif
