#include "engine/names.h"

#include <stdio.h>
#include <string.h>

enum { ROOM_FOR_REST = 32 };

void names_add(struct names *names, const char *name)
{
    size_t used = strlen(names->text), room = sizeof names->text - ROOM_FOR_REST;
    if (names->left_out || used + strlen(name) + 2 >= room)
        names->left_out++;
    else
        sprintf(names->text + used, "%s%s", used ? ", " : "", name);
}

const char *names_text(struct names *names)
{
    size_t used = strlen(names->text);
    if (!used && !names->left_out) return "none";
    if (names->left_out)
        snprintf(names->text + used, sizeof names->text - used, "%s%zu more", used ? " and " : "",
                 names->left_out);
    names->left_out = 0;
    return names->text;
}
