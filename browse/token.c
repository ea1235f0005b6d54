#include "browse/token.h"

#include "base/err.h"

#include <stdio.h>
#include <sys/random.h>

int token_make(char out[TOKEN_BYTES])
{
    unsigned char random[(TOKEN_BYTES - 1) / 2];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return err_set(ERR_IO, "the system gives no random numbers");
    for (size_t i = 0; i < sizeof random; i++) snprintf(out + 2 * i, 3, "%02x", random[i]);
    return ERR_OK;
}
