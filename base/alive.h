/* Whether a process that was seen before is still the same one. */
#ifndef SLUICE_BASE_ALIVE_H
#define SLUICE_BASE_ALIVE_H

#include <stdint.h>

/* When a process was started, in clock ticks since the system was (field 22 of /proc/PID/stat): with
 * its number it names one process. 0: there is none. Reads /proc. */
uint64_t alive_since(uint32_t pid);

#endif
