#include "tests/e2e/attack.h"

#include "base/err.h"
#include "proto/frame.h"
#include "proto/message.h"
#include "runtime/link.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

enum { LARGE = 1 << 20 };

static size_t a_message(uint8_t type, size_t text_bytes, uint8_t *out)
{
    char *text = malloc(text_bytes + 1);
    struct message m = {.type = type, .stream = stream_key("test"), .session = 7};
    if (message_max_text(type) < text_bytes) text_bytes = message_max_text(type);
    memset(text, ' ', text_bytes); /* of a report: many small values */
    for (size_t n = 1, k = 0; n + 16 < text_bytes; k++)
        n += (size_t)sprintf(text + n, "\"%zx\":%zu,", k, k);
    text[0] = '{';
    if (text_bytes) memcpy(text + text_bytes - 6, "\"z\":1}", 6);
    strcpy(m.name, "flood");
    m.share_count = 1;
    m.text = text;
    m.text_bytes = (uint32_t)text_bytes;
    if (message_encode(&m, out)) _exit(3);
    size_t bytes = message_bytes(&m);
    free(text);
    return bytes;
}

/* A frame in no session, with a good header. */
static size_t a_frame(uint8_t *out)
{
    static uint8_t raw[1 << 18];
    struct frame_header h = {.stream = stream_key("test"),
                             .session = 7,
                             .number = 1,
                             .epoch = 1,
                             .rows = 1800,
                             .width = 64,
                             .dtype = DTYPE_BF16};
    if (frame_seal(&h, raw, out + FRAME_HEADER_BYTES, NULL)) _exit(3);
    frame_encode(&h, out);
    return FRAME_HEADER_BYTES + h.packed_bytes;
}

static size_t junk(uint8_t *out)
{
    memset(out, 'j', LARGE);
    return LARGE;
}

static void nothing(void *arg, struct link *link, struct link_message *message)
{
    (void)arg;
    (void)link;
    (void)message;
}

/* Send the same for ever, as fast as it goes. */
static void flood(const char *endpoint, const uint8_t *data, size_t bytes, int reads)
{
    uv_loop_t loop;
    struct link_hub *hub;
    struct link *link;
    struct link_options options = {
        .kind = LINK_DEALER, .endpoint = endpoint, .on_message = nothing};
    uv_loop_init(&loop);
    if (link_hub_open(&loop, &hub) || link_open(hub, &options, &link)) _exit(4);
    for (;;) {
        if (link_send(link, NULL, NULL, 0, data, bytes)) usleep(200);
        if (reads) uv_run(&loop, UV_RUN_NOWAIT);
    }
}

void attack_begin(const struct attack *a, const char *endpoint, int count, pid_t *attackers)
{
    static uint8_t data[MESSAGE_HEADER_BYTES + (4 << 20)];
    size_t bytes = a->type == ATTACK_FRAME  ? a_frame(data)
                   : a->type == ATTACK_JUNK ? junk(data)
                                            : a_message(a->type, a->text_bytes, data);
    for (int i = 0; i < count; i++) {
        attackers[i] = fork();
        if (attackers[i]) continue;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        flood(endpoint, data, bytes, a->reads);
    }
}

void attack_end(int count, pid_t *attackers)
{
    for (int i = 0; i < count; i++)
        if (attackers[i] > 0) kill(attackers[i], SIGKILL);
    for (int i = 0; i < count; i++)
        if (attackers[i] > 0) waitpid(attackers[i], NULL, 0);
    memset(attackers, 0, (size_t)count * sizeof *attackers);
}
