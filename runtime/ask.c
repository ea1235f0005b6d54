#include "runtime/ask.h"

#include "base/err.h"
#include "proto/message.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { UNANSWERED = 2 }; /* questions that wait for a broker: more would be answered all at once */

struct ask {
    uv_loop_t loop;
    uv_timer_t timer;
    struct link_hub *hub;
    struct link *link;
    int is_late;
    uint64_t number; /* of the last question: an answer to one before is of no use */
    char *text;
    size_t bytes;
};

static void on_message(void *arg, struct link *link, struct link_message *message)
{
    struct ask *a = arg;
    struct message m;
    size_t bytes;
    const uint8_t *data = link_data(message, link_parts(message) - 1, &bytes);
    (void)link;
    if (message_decode(data, bytes, &m) || m.type != MESSAGE_TELL || m.session != a->number) return;
    free(a->text);
    a->text = malloc((size_t)m.text_bytes + 1);
    if (!a->text) return;
    if (m.text_bytes) memcpy(a->text, m.text, m.text_bytes);
    a->text[m.text_bytes] = '\0';
    a->bytes = m.text_bytes;
    uv_stop(&a->loop);
}

static void on_timer(uv_timer_t *timer)
{
    struct ask *a = timer->data;
    a->is_late = 1;
    uv_stop(&a->loop);
}

int ask_open(struct link_options options, struct ask **out)
{
    struct ask *a = calloc(1, sizeof *a);
    if (!a) return err_set(ERR_NOMEM, "no memory to ask the broker");
    if (uv_loop_init(&a->loop) != 0) {
        free(a);
        return err_set(ERR_IO, "no event loop");
    }
    uv_timer_init(&a->loop, &a->timer);
    a->timer.data = a;
    options.kind = LINK_DEALER;
    options.bind = 0;
    options.max_message_bytes = MESSAGE_HEADER_BYTES + MESSAGE_MAX_TEXT_BYTES;
    options.send_high_water = options.receive_high_water = UNANSWERED;
    options.on_message = on_message;
    options.arg = a;
    int result = link_hub_open(&a->loop, &a->hub);
    if (result == ERR_OK) result = link_open(a->hub, &options, &a->link);
    if (result != ERR_OK)
        ask_close(a);
    else
        *out = a;
    return result;
}

void ask_close(struct ask *a)
{
    if (!a) return;
    uv_close((uv_handle_t *)&a->timer, NULL);
    if (a->link) link_close(a->link);
    uv_run(&a->loop, UV_RUN_NOWAIT);
    link_hub_close(a->hub);
    while (uv_run(&a->loop, UV_RUN_DEFAULT)) continue;
    uv_loop_close(&a->loop);
    free(a->text);
    free(a);
}

static int send_question(struct ask *a)
{
    struct message m = {.type = MESSAGE_ASK, .session = ++a->number};
    uint8_t data[MESSAGE_HEADER_BYTES];
    int result = message_encode(&m, data);
    if (result == ERR_OK) result = link_send(a->link, NULL, NULL, 0, data, sizeof data);
    return result == ERR_AGAIN ? ERR_OK : result; /* some are on their way already */
}

int ask_status(struct ask *a, int timeout_ms, char **text, size_t *bytes)
{
    int result = send_question(a);
    if (result != ERR_OK) return result;
    a->is_late = 0;
    uv_update_time(&a->loop); /* nobody ran it since the last question: the time is that of then */
    uv_timer_start(&a->timer, on_timer, (uint64_t)timeout_ms, 0);
    while (!a->text && !a->is_late) uv_run(&a->loop, UV_RUN_DEFAULT);
    uv_timer_stop(&a->timer);
    if (!a->text) return err_set(ERR_AGAIN, "the broker did not answer in time");
    *text = a->text;
    *bytes = a->bytes;
    a->text = NULL;
    return ERR_OK;
}
