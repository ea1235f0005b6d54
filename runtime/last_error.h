/* The process's last error in its report, as proto/report.h has it. */
#ifndef SLUICE_RUNTIME_LAST_ERROR_H
#define SLUICE_RUNTIME_LAST_ERROR_H

#include <stddef.h>

/* Put it into a report, a JSON object that has other members, as metrics_json() made it: *text may
 * move. Where there was no error, or no memory, the report stays as it is. */
void last_error_put(char **text, size_t *bytes);

#endif
