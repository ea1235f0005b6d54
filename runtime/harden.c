#include "runtime/harden.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

void harden(void)
{
    struct rlimit none = {0, 0};
    umask(077);
    setrlimit(RLIMIT_CORE, &none);
#ifndef __SANITIZE_ADDRESS__ /* the leak checker must be able to trace its own process */
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}
