/* Asking a broker: each question has its whole time, whoever ran the loop when. */
#include "runtime/ask.h"

#include "base/err.h"
#include "base/fileio.h"
#include "proto/message.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zmq.h>

#include <cmocka.h>

enum { LIMIT_MS = 500, ROOM = 4096 };

static char folder[] = "/tmp/sluice-ask-XXXXXX", endpoint[100];

/* What stands for a broker. */
struct answers {
    void *context, *socket;
    pthread_t thread;
    int delay_ms; /* before each answer */
};

static void sleep_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

static void *answer(void *arg)
{
    struct answers *a = arg;
    static const char text[] = "{\"stream\": \"x\"}";
    uint8_t id[256], data[ROOM], out[ROOM];
    for (;;) {
        int id_bytes = zmq_recv(a->socket, id, sizeof id, 0);
        int bytes = id_bytes < 0 ? -1 : zmq_recv(a->socket, data, sizeof data, 0);
        struct message m,
            tell = {.type = MESSAGE_TELL, .text = text, .text_bytes = sizeof text - 1};
        if (bytes < 0) return NULL; /* the context is closed */
        if (message_decode(data, (size_t)bytes, &m) || m.type != MESSAGE_ASK) continue;
        tell.session = m.session;
        sleep_ms(a->delay_ms);
        if (message_encode(&tell, out)) continue;
        zmq_send(a->socket, id, (size_t)id_bytes, ZMQ_SNDMORE);
        zmq_send(a->socket, out, message_bytes(&tell), 0);
    }
}

static void begin(struct answers *a, int delay_ms)
{
    int zero = 0;
    a->delay_ms = delay_ms;
    a->context = zmq_ctx_new();
    a->socket = zmq_socket(a->context, ZMQ_ROUTER);
    zmq_setsockopt(a->socket, ZMQ_LINGER, &zero, sizeof zero);
    assert_int_equal(zmq_bind(a->socket, endpoint), 0);
    assert_int_equal(pthread_create(&a->thread, NULL, answer, a), 0);
}

static void end(struct answers *a)
{
    zmq_ctx_shutdown(a->context);
    pthread_join(a->thread, NULL);
    zmq_close(a->socket);
    zmq_ctx_term(a->context);
}

static struct ask *open_ask(void)
{
    struct ask *ask;
    struct link_options options = {.endpoint = endpoint};
    assert_int_equal(ask_open(options, &ask), ERR_OK);
    return ask;
}

static int ask_once(struct ask *ask)
{
    char *text;
    size_t bytes;
    int result = ask_status(ask, LIMIT_MS, &text, &bytes);
    if (result != ERR_OK) return result;
    assert_int_equal(bytes, strlen(text));
    assert_non_null(strstr(text, "\"stream\""));
    free(text);
    return ERR_OK;
}

/* As `sluice up` asks: once a second, with nothing run between. The answer takes a while, as it does
 * on a machine that has other things to do. */
static void each_question_has_its_time(void **state)
{
    struct answers answers;
    (void)state;
    begin(&answers, 100);
    struct ask *ask = open_ask();
    for (int i = 0; i < 4; i++) {
        if (i) sleep_ms(LIMIT_MS + 200);
        int result = ask_once(ask);
        if (result != ERR_OK) fail_msg("question %d: %s", i + 1, err_text());
    }
    ask_close(ask);
    end(&answers);
}

/* Nor is it waited for any longer; a late answer is no answer to the next question. */
static void without_an_answer_it_ends(void **state)
{
    struct answers answers;
    (void)state;
    struct ask *ask = open_ask();
    assert_int_equal(ask_once(ask), ERR_AGAIN);
    begin(&answers, LIMIT_MS + 200);
    assert_int_equal(ask_once(ask), ERR_AGAIN);
    ask_close(ask);
    end(&answers);
}

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(folder)) return -1;
    snprintf(endpoint, sizeof endpoint, "ipc://%s/front", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return dir_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_question_has_its_time),
        cmocka_unit_test(without_an_answer_it_ends),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
