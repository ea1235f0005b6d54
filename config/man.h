/* Text for man(7) pages. */
#ifndef SLUICE_CONFIG_MAN_H
#define SLUICE_CONFIG_MAN_H

#include <stdio.h>

/* Write text so that roff shows it as it is: backslashes, dashes, dots at the start of a line. */
void man_text(const char *text, FILE *out);

#endif
