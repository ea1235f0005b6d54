/* ${VARIABLE} and ~ in paths. */
#include "config/table.h"

#include "base/err.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 128, PASSWD_BYTES = 16384 };

static int too_long(const char *text)
{
    return err_set(ERR_USAGE, "'%.80s...' is longer than a path may be", text);
}

/* Append `bytes` of text to out[CONFIG_PATH_BYTES], of which `used` are used. 0: no room. */
static int append(char *out, size_t *used, const char *text, size_t bytes)
{
    if (*used + bytes >= CONFIG_PATH_BYTES) return 0;
    memcpy(out + *used, text, bytes);
    *used += bytes;
    out[*used] = '\0';
    return 1;
}

/* What the variable at `text`, "${NAME}...", holds; *end is behind it. */
static int variable(const char *text, const char **value, const char **end)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
    static const char digits[] = "0123456789";
    char name[NAME_BYTES];
    const char *p = text + 2;
    while (*p && (strchr(letters, *p) || (p > text + 2 && strchr(digits, *p)))) p++;
    size_t length = (size_t)(p - text) - 2;
    if (length == 0 || length >= sizeof name || *p != '}')
        return err_set(ERR_USAGE,
                       "'%.40s' is not ${NAME}, a variable of the environment; HINT: write $${ for "
                       "a path that has ${ in it",
                       text);
    snprintf(name, sizeof name, "%.*s", (int)length, text + 2);
    *value = getenv(name);
    *end = p + 1;
    if (*value && (*value)[0]) return ERR_OK;
    return err_set(ERR_USAGE,
                   "${%s} stands for a variable of the environment that is %s; HINT: export %s=...",
                   name, *value ? "empty" : "not set", name);
}

static int expand_variables(const char *text, char *out)
{
    size_t used = 0;
    out[0] = '\0';
    for (const char *p = text; *p;) {
        const char *piece = p, *end = p + 1;
        size_t bytes = 1;
        int escaped = strncmp(p, "$${", 3) == 0;
        if (escaped) {
            piece = p + 1;
            bytes = 2;
            end = p + 3;
        } else if (strncmp(p, "${", 2) == 0) {
            int result = variable(p, &piece, &end);
            if (result != ERR_OK) return result;
            bytes = strlen(piece);
        }
        if (!append(out, &used, piece, bytes)) return too_long(text);
        p = end;
    }
    return ERR_OK;
}

/* The home folder of "~" and "~name"; "" where the text begins otherwise, or has no such user: as
 * in a shell it then stands for itself. */
static int home_of(const char *text, size_t length, char *out)
{
    char name[NAME_BYTES], *room;
    struct passwd one, *found = NULL;
    out[0] = '\0';
    if (length == 1) {
        const char *home = getenv("HOME");
        if (!home || home[0] != '/')
            return err_set(ERR_USAGE, "'%.80s' cannot be expanded: HOME is not set", text);
        if (snprintf(out, CONFIG_PATH_BYTES, "%s", home) >= CONFIG_PATH_BYTES)
            return too_long(text);
        return ERR_OK;
    }
    if (length > sizeof name || !(room = malloc(PASSWD_BYTES))) return ERR_OK;
    snprintf(name, sizeof name, "%.*s", (int)length - 1, text + 1);
    if (getpwnam_r(name, &one, room, PASSWD_BYTES, &found) == 0 && found && found->pw_dir[0] == '/')
        snprintf(out, CONFIG_PATH_BYTES, "%s", found->pw_dir);
    free(room);
    return ERR_OK;
}

int config_expand(const char *text, char *out)
{
    char plain[CONFIG_PATH_BYTES], home[CONFIG_PATH_BYTES] = "";
    int result = expand_variables(text, plain);
    size_t length = plain[0] == '~' ? strcspn(plain, "/") : 0, used = 0;
    if (result == ERR_OK && length > 0) result = home_of(plain, length, home);
    if (result != ERR_OK) return result;
    const char *rest = home[0] ? plain + length : plain;
    out[0] = '\0';
    if (append(out, &used, home, strlen(home)) && append(out, &used, rest, strlen(rest)))
        return ERR_OK;
    return too_long(text);
}
