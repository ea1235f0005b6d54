#include "runtime/keys.h"

#include "base/err.h"
#include "base/fileio.h"
#include "proto/message.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

enum { FILE_BYTES_MAX = 64 << 10, KEY_CHARACTERS = KEYS_TEXT_BYTES - 1, KEY_BINARY_BYTES = 32 };

static const char pair_first_line[] = "sluice-key 1", public_first_line[] = "sluice-public-key 1";

static const struct {
    const char *name;
    uint32_t role;
} roles_named[] = {{"produce", KEYS_PRODUCE},
                   {"sink", KEYS_SINK},
                   {"report", KEYS_REPORT},
                   {"status", KEYS_STATUS}};
enum { ROLES = sizeof roles_named / sizeof roles_named[0] };

/* ---- keys ---- */

static int is_key(const char *text)
{
    uint8_t binary[KEY_BINARY_BYTES];
    int ok = strlen(text) == KEY_CHARACTERS && zmq_z85_decode(binary, text) != NULL;
    explicit_bzero(binary, sizeof binary);
    return ok;
}

int keys_make(struct keys_pair *pair)
{
    if (!zmq_has("curve") || zmq_curve_keypair(pair->public_key, pair->secret) != 0)
        return err_set(ERR_STATE, "this build of libzmq has no CURVE; HINT: Debian's libzmq5 has");
    return ERR_OK;
}

/* ---- files ---- */

/* A file of ours, open: not through a link, not another user's, and not open to others in the ways
 * that `forbidden` names. */
static int open_own(const char *path, mode_t forbidden, int *out)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return err_set(
            err_of_file(errno), "cannot read the key file %s: %s%s", path, strerror(errno),
            errno == ENOENT  ? "; HINT: `sluice keygen FILE` makes the keys, on the "
                               "broker's host; elsewhere copy what `keygen --for NAME` made "
                               "there, and say --only"
            : errno == ELOOP ? "; HINT: put the file itself there, not a link"
                             : "");
    int result = ERR_OK;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        result = err_set(ERR_USAGE, "%s is not a regular file", path);
    else if (st.st_uid != geteuid())
        result = err_set(ERR_USAGE, "%s belongs to another user; HINT: chown it, or make keys anew",
                         path);
    else if (st.st_mode & forbidden)
        result = err_set(ERR_USAGE, "%s can be %s by others (mode %03o); HINT: chmod 600 %s", path,
                         forbidden & st.st_mode & 044 ? "read" : "written",
                         (unsigned)st.st_mode & 0777, path);
    if (result != ERR_OK)
        close(fd);
    else
        *out = fd;
    return result;
}

static void forget(char *text, size_t bytes)
{
    if (text) explicit_bzero(text, bytes);
    free(text);
}

/* The whole file, a text of *bytes; the caller forget()s it. */
static int read_own(const char *path, mode_t forbidden, char **text, size_t *bytes)
{
    int fd = -1, result = open_own(path, forbidden, &fd);
    if (result != ERR_OK) return result;
    result = file_read_from(fd, path, FILE_BYTES_MAX, text, bytes);
    close(fd);
    if (result != ERR_OK || strlen(*text) == *bytes) return result;
    forget(*text, *bytes);
    *text = NULL;
    return err_set(ERR_FORMAT, "%s is no text: there is a zero byte in it; HINT: copy it anew",
                   path);
}

/* The word behind "\nWORD " up to the line's end, where it is a key. */
static int key_of(const char *text, const char *word, char out[KEYS_TEXT_BYTES])
{
    char mark[32];
    snprintf(mark, sizeof mark, "\n%s ", word);
    const char *line = strstr(text, mark);
    if (!line) return 0;
    line += strlen(mark);
    if (strcspn(line, " \r\n") != KEY_CHARACTERS) return 0;
    memcpy(out, line, KEY_CHARACTERS);
    out[KEY_CHARACTERS] = '\0';
    return is_key(out);
}

static int write_new(const char *path, const char *text)
{
    int result = file_create(path, text, strlen(text));
    if (result != ERR_EXISTS) return result;
    return err_set(ERR_EXISTS,
                   "%s is there already, and no key is ever replaced; HINT: move it away first: "
                   "whoever uses it can connect no longer",
                   path);
}

int keys_write_pair(const char *path, const char *name, const struct keys_pair *pair)
{
    char text[512];
    snprintf(text, sizeof text, "%s\nname %s\npublic %s\nsecret %s\n", pair_first_line, name,
             pair->public_key, pair->secret);
    int result = write_new(path, text);
    explicit_bzero(text, sizeof text);
    return result;
}

int keys_write_public(const char *path, const char *name, const char *public_key)
{
    char text[512];
    snprintf(text, sizeof text, "%s\nname %s\npublic %s\n", public_first_line, name, public_key);
    return write_new(path, text);
}

static int begins(const char *text, const char *first_line)
{
    size_t length = strlen(first_line);
    return strncmp(text, first_line, length) == 0 && text[length] == '\n';
}

int keys_read_pair(const char *path, struct keys_pair *pair)
{
    char *text = NULL, derived[KEYS_TEXT_BYTES] = "";
    size_t bytes = 0;
    int result = read_own(path, 077, &text, &bytes);
    if (result != ERR_OK) return result;
    if (!begins(text, pair_first_line) || !key_of(text, "public", pair->public_key) ||
        !key_of(text, "secret", pair->secret))
        result = err_set(ERR_FORMAT, "%s is not a key file of Sluice; HINT: `sluice keygen`", path);
    else if (zmq_curve_public(derived, pair->secret) != 0 || strcmp(derived, pair->public_key) != 0)
        result = err_set(ERR_FORMAT,
                         "the two keys in %s are no pair: it was changed; HINT: copy it anew, or "
                         "make another by `sluice keygen`",
                         path);
    forget(text, bytes);
    return result;
}

int keys_read_public(const char *path, char out[KEYS_TEXT_BYTES])
{
    char *text = NULL;
    size_t bytes = 0;
    int result = read_own(path, 022, &text, &bytes);
    if (result != ERR_OK) return result;
    if (!begins(text, public_first_line) || !key_of(text, "public", out))
        result = err_set(ERR_FORMAT,
                         "%s is not a public key of Sluice; HINT: copy " KEYS_BROKER_PUBLIC
                         " from the broker's host",
                         path);
    forget(text, bytes);
    return result;
}

/* ---- roles ---- */

int keys_roles_parse(const char *text, uint32_t *roles)
{
    *roles = 0;
    for (const char *p = text; *p;) {
        size_t length = strcspn(p, ",");
        uint32_t role = 0;
        for (int i = 0; i < ROLES; i++)
            if (strlen(roles_named[i].name) == length &&
                strncmp(p, roles_named[i].name, length) == 0)
                role = roles_named[i].role;
        if (!role && length >= KEY_CHARACTERS) /* not told either */
            return err_set(ERR_USAGE, "where roles belong stands a longer word; roles are produce, "
                                      "sink, report and status, divided by commas");
        if (!role)
            return err_set(ERR_USAGE,
                           "'%.*s' is not a role; roles are produce, sink, report and status, "
                           "divided by commas",
                           (int)(length > 40 ? 40 : length), p);
        *roles |= role;
        p += length + (p[length] == ',');
    }
    return *roles ? ERR_OK : err_set(ERR_USAGE, "no role is named; HINT: produce,report,status");
}

void keys_roles_text(uint32_t roles, char *out)
{
    out[0] = '\0';
    for (int i = 0; i < ROLES; i++) {
        if (!(roles & roles_named[i].role)) continue;
        if (out[0]) strcat(out, ",");
        strcat(out, roles_named[i].name);
    }
}

/* ---- the allow-list ---- */

struct client {
    char name[KEYS_NAME_BYTES], key[KEYS_TEXT_BYTES];
    uint32_t roles;
};

struct list {
    uint32_t count;
    struct client client[KEYS_MAX_CLIENTS];
};

struct keys_allow {
    char path[PATH_MAX];
    struct stat seen; /* when it was read last, whether it was good or not */
    struct list list;
};

static int take_line(const char *path, unsigned number, char *line, struct list *list)
{
    char *state, *name = strtok_r(line, " \t\r", &state);
    if (!name || name[0] == '#') return ERR_OK;
    char *roles = strtok_r(NULL, " \t\r", &state), *key = strtok_r(NULL, " \t\r", &state);
    struct client c = {.roles = 0};
    if (!roles || !key || strtok_r(NULL, " \t\r", &state))
        return err_set(ERR_FORMAT, "%s:%u: a line is NAME ROLES KEY", path, number);
    if (!message_name_ok(name))
        return err_set(ERR_FORMAT, "%s:%u: the first word is not a name", path, number);
    if (keys_roles_parse(roles, &c.roles)) /* a word may be a key that went astray: none is shown */
        return err_set(ERR_FORMAT,
                       "%s:%u: the second word is not a role, or several divided by commas: "
                       "produce, sink, report, status",
                       path, number);
    if (!is_key(key))
        return err_set(ERR_FORMAT, "%s:%u: the key of %s is no public key of 40 characters", path,
                       number, name);
    for (uint32_t i = 0; i < list->count; i++)
        if (strcmp(list->client[i].name, name) == 0 || strcmp(list->client[i].key, key) == 0)
            return err_set(ERR_FORMAT, "%s:%u: the name or key of %s is there twice", path, number,
                           name);
    if (list->count == KEYS_MAX_CLIENTS)
        return err_set(ERR_LIMIT, "%s: over %d clients", path, KEYS_MAX_CLIENTS);
    snprintf(c.name, sizeof c.name, "%s", name);
    snprintf(c.key, sizeof c.key, "%s", key);
    list->client[list->count++] = c;
    return ERR_OK;
}

static int read_list(const char *path, struct list *list)
{
    char *text = NULL;
    size_t bytes = 0;
    unsigned number = 0;
    *list = (struct list){0};
    int result = read_own(path, 022, &text, &bytes);
    for (char *line = text, *next; result == ERR_OK && line; line = next) {
        next = strchr(line, '\n');
        if (next) *next++ = '\0';
        result = take_line(path, ++number, line, list);
    }
    forget(text, bytes);
    return result;
}

static int has_changed(const struct stat *a, const struct stat *b)
{
    return a->st_ino != b->st_ino || a->st_dev != b->st_dev || a->st_size != b->st_size ||
           a->st_mtim.tv_sec != b->st_mtim.tv_sec || a->st_mtim.tv_nsec != b->st_mtim.tv_nsec ||
           a->st_ctim.tv_sec != b->st_ctim.tv_sec || a->st_ctim.tv_nsec != b->st_ctim.tv_nsec ||
           a->st_mode != b->st_mode || a->st_uid != b->st_uid;
}

int keys_allow_open(const char *path, struct keys_allow **out)
{
    struct keys_allow *allow = calloc(1, sizeof *allow);
    if (!allow) return err_set(ERR_NOMEM, "no memory for the allow-list");
    snprintf(allow->path, sizeof allow->path, "%s", path);
    if (stat(path, &allow->seen) != 0) allow->seen = (struct stat){0};
    int result = read_list(path, &allow->list);
    if (result != ERR_OK)
        free(allow);
    else
        *out = allow;
    return result;
}

void keys_allow_close(struct keys_allow *allow)
{
    free(allow);
}

int keys_allow_refresh(struct keys_allow *allow, int *code)
{
    struct stat now;
    *code = ERR_OK;
    if (stat(allow->path, &now) != 0) now = (struct stat){0};
    if (!has_changed(&allow->seen, &now)) return 0;
    allow->seen = now;
    struct list *list = malloc(sizeof *list);
    *code = list ? read_list(allow->path, list) : err_set(ERR_NOMEM, "no memory");
    if (*code == ERR_OK) allow->list = *list;
    free(list);
    return *code == ERR_OK;
}

uint32_t keys_allow_count(const struct keys_allow *allow)
{
    return allow->list.count;
}

uint32_t keys_allow_roles(const struct keys_allow *allow, const char *public_key, const char **name)
{
    if (name) *name = "";
    for (uint32_t i = 0; i < allow->list.count; i++) {
        if (strcmp(allow->list.client[i].key, public_key) != 0) continue;
        if (name) *name = allow->list.client[i].name;
        return allow->list.client[i].roles;
    }
    return 0;
}

static int too_many(const char *path)
{
    return err_set(
        ERR_LIMIT,
        "%s takes no more clients: %d, in %d bytes, is the most; HINT: take lines out of "
        "those that are gone",
        path, KEYS_MAX_CLIENTS, FILE_BYTES_MAX);
}

static int append_line(const char *path, const char *line)
{
    char *old = NULL;
    size_t length = 0;
    struct stat st;
    if (lstat(path, &st) != 0 && errno == ENOENT) {
        static const char head[] = "# Who may connect to the broker: NAME ROLES PUBLIC-KEY\n";
        char text[512];
        snprintf(text, sizeof text, "%s%s", head, line);
        return file_replace(path, text, strlen(text));
    }
    int result = read_own(path, 022, &old, &length);
    if (result != ERR_OK) return result;
    const char *end = length && old[length - 1] != '\n' ? "\n" : "";
    char *text = NULL;
    int n = asprintf(&text, "%s%s%s", old, end, line);
    result = n < 0                ? err_set(ERR_NOMEM, "no memory")
             : n > FILE_BYTES_MAX ? too_many(path)
                                  : file_replace(path, text, (size_t)n);
    if (n >= 0) free(text);
    forget(old, length);
    return result;
}

/* The list with it could be read again. */
static int may_be_added(const char *path, const struct list *list, const char *name,
                        const char *key)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (strcmp(list->client[i].name, name) == 0 || strcmp(list->client[i].key, key) == 0)
            return err_set(ERR_EXISTS,
                           "%s has a client of the name %s, or of its key, already; HINT: another "
                           "name, or take its line out first",
                           path, name);
    return list->count < KEYS_MAX_CLIENTS ? ERR_OK : too_many(path);
}

int keys_allow_add(const char *path, const char *name, uint32_t roles, const char *public_key)
{
    struct list *list = malloc(sizeof *list);
    if (!list) return err_set(ERR_NOMEM, "no memory for the allow-list");
    int result = read_list(path, list);
    if (result == ERR_NOTFOUND) result = ERR_OK;
    if (result == ERR_OK) result = may_be_added(path, list, name, public_key);
    free(list);
    if (result != ERR_OK) return result;
    char text[64], line[256];
    keys_roles_text(roles, text);
    snprintf(line, sizeof line, "%s %s %s\n", name, text, public_key);
    return append_line(path, line);
}
