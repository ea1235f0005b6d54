#include "tests/hosts/server.h"

#include "base/err.h"
#include "tests/e2e/fetch.h"
#include "tests/e2e/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST_WORDS = 64, WORD_BYTES = 32, START_SECONDS = 120, STOP_SECONDS = 60 };

struct command {
    char *words[MOST_WORDS + 1];
    int count;
    char numbers[8][WORD_BYTES];
    int numbers_count;
    char prefix[4096];
};

const char *server_name(enum server_kind kind)
{
    return kind == SERVER_PYTHON ? "llama_cpp.server" : "llama-server";
}

static void add(struct command *command, const char *word)
{
    if (command->count < MOST_WORDS) command->words[command->count++] = (char *)word;
}

static void add_number(struct command *command, const char *option, int value)
{
    char *word = command->numbers[command->numbers_count++];
    snprintf(word, WORD_BYTES, "%d", value);
    add(command, option);
    add(command, word);
}

static void add_prefix(struct command *command, const char *prefix)
{
    char *rest = NULL;
    snprintf(command->prefix, sizeof command->prefix, "%s", prefix ? prefix : "");
    for (char *word = strtok_r(command->prefix, " ", &rest); word;
         word = strtok_r(NULL, " ", &rest))
        add(command, word);
}

static int add_program(struct command *command, const char *variable)
{
    const char *path = getenv(variable);
    if (!path)
        return err_set(ERR_NOTFOUND,
                       "%s is not set; HINT: 'make test-hosts', or scripts/hosts.sh "
                       "COMMAND, sets it",
                       variable);
    add(command, path);
    return ERR_OK;
}

static int python_command(const struct server_options *o, int port, struct command *command)
{
    int result = add_program(command, "SLUICE_HOST_PYTHON");
    add(command, "-m");
    add(command, "llama_cpp.server");
    add(command, "--model");
    add(command, o->model);
    add_number(command, "--port", port);
    add_number(command, "--n_ctx", o->context_tokens);
    add_number(command, "--n_ubatch", o->ubatch_tokens);
    add_number(command, "--n_threads", o->threads);
    add_number(command, "--n_threads_batch", o->threads);
    add(command, "--interrupt_requests"); /* a new request would end the one before */
    add(command, "false");
    add(command, "--flash_attn"); /* as all others here compute; its sums are others */
    add(command, "true");
    return result;
}

static int llama_command(const struct server_options *o, int port, struct command *command)
{
    int result = add_program(command, "SLUICE_HOST_SERVER");
    add(command, "--model");
    add(command, o->model);
    add_number(command, "--port", port);
    add_number(command, "--parallel", o->slots);
    add_number(command, "--ctx-size", o->context_tokens);
    add_number(command, "--ubatch-size", o->ubatch_tokens);
    add_number(command, "--threads", o->threads);
    add(command, "--no-ui");
    return result;
}

static void become(const struct command *command, const char *log, pid_t parent)
{
    int out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);
    if (out >= 0) {
        dup2(out, 1);
        dup2(out, 2);
    }
    setenv("OMP_WAIT_POLICY", "passive", 1);
    execvp(command->words[0], command->words);
    fprintf(stderr, "%s: %s\n", command->words[0], strerror(errno));
    _exit(127);
}

static int await(const struct server_options *options, struct server *server)
{
    char address[64], *body = NULL;
    size_t bytes;
    snprintf(address, sizeof address, "127.0.0.1:%d", server->port);
    for (int tenths = 0; tenths < START_SECONDS * 10; tenths++) {
        if (fetch(address, "/v1/models", 2000, &body, &bytes) == ERR_OK) {
            free(body);
            return ERR_OK;
        }
        if (waitpid(server->pid, NULL, WNOHANG) == server->pid) {
            server->pid = 0;
            return err_set(ERR_STATE, "%s ended before it answered; HINT: see %s",
                           server_name(options->kind), options->log);
        }
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    }
    server_stop(server);
    return err_set(ERR_AGAIN, "%s did not answer in %d seconds; HINT: see %s",
                   server_name(options->kind), START_SECONDS, options->log);
}

int server_start(const struct server_options *options, struct server *server)
{
    struct command command = {0};
    *server = (struct server){.port = harness_free_port()};
    add_prefix(&command, options->prefix);
    int result = options->kind == SERVER_PYTHON ? python_command(options, server->port, &command)
                                                : llama_command(options, server->port, &command);
    if (result != ERR_OK) return result;
    pid_t parent = getpid();
    server->pid = fork();
    if (server->pid == 0) become(&command, options->log, parent);
    if (server->pid < 0) return err_set(ERR_IO, "cannot start it: %s", strerror(errno));
    return await(options, server);
}

int server_stop(struct server *server)
{
    int status = 0;
    if (!server->pid) return 0;
    kill(server->pid, SIGTERM);
    for (int tenths = 0; waitpid(server->pid, &status, WNOHANG) == 0; tenths++) {
        if (tenths == STOP_SECONDS * 10) kill(server->pid, SIGKILL);
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    }
    server->pid = 0;
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}
