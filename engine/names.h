/* A list of names for an error's text: "a, b, c and 12 more". */
#ifndef SLUICE_ENGINE_NAMES_H
#define SLUICE_ENGINE_NAMES_H

#include <stddef.h>

struct names {
    char text[500];
    size_t left_out; /* for which there was no room */
};

void names_add(struct names *names, const char *name);

/* The whole list; "none" where it is empty. */
const char *names_text(struct names *names);

#endif
