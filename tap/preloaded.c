/* The preloaded library begins before the program's main(), and ends behind it. */
#include "base/err.h"
#include "tap/control.h"
#include "tap/environment.h"
#include "tap/tap.h"
#include "tap/tell.h"

#include <stdio.h>

__attribute__((constructor)) static void begin(void)
{
    static int once;
    struct tap_start start;
    char text[600];
    if (environment_is_handed_on()) return;
    int result = environment_read(&start);
    if (result == ERR_OK) result = tap_begin(&start);
    if (result != ERR_OK) {
        snprintf(text, sizeof text, "%s; the program goes on without the tap", err_text());
        tell_once(&once, text);
    }
    environment_clean();
}

__attribute__((destructor)) static void end(void)
{
    control_stop();
    tap_end();
}
