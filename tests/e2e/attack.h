/* Clients that say more than they may: processes that send one message for ever, as fast as it
 * goes. */
#ifndef SLUICE_TESTS_E2E_ATTACK_H
#define SLUICE_TESTS_E2E_ATTACK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { ATTACK_FRAME = 0, ATTACK_JUNK = 255 }; /* beside the types of proto/message.h */

struct attack {
    const char *name;
    uint8_t type; /* ATTACK_FRAME: in no session, of 253 KiB; ATTACK_JUNK: 1 MiB of no meaning */
    size_t
        text_bytes;  /* of a message that has a text; less where its type may have no so long one */
    int at_the_back; /* who begins it chooses the endpoint accordingly */
    int reads;       /* answers are read */
};

/* Start so many processes, their ids into attackers[count]. They end with this process at the
 * latest. */
void attack_begin(const struct attack *attack, const char *endpoint, int count, pid_t *attackers);
/* Kill them and wait for them; attackers[] is 0 afterwards. */
void attack_end(int count, pid_t *attackers);

#endif
