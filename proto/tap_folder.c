#include "proto/tap_folder.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/own.h"
#include "base/rng.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static const char tail[] = "/sluice/tap";

/* The only folder; NULL: the usual ones. */
static const char *only(void)
{
    const char *folder = getenv("SLUICE_TAPS");
    return folder && folder[0] == '/' ? folder : NULL;
}

int tap_folder_path(unsigned n, char *out, size_t bytes)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    unsigned uid = (unsigned)geteuid();
    char usual[64];
    int length = 0;
    snprintf(usual, sizeof usual, "/run/user/%u", uid);
    if (only())
        length = n == 0 ? snprintf(out, bytes, "%s", only()) : 0;
    else if (n == 0 && runtime && runtime[0] == '/')
        length = snprintf(out, bytes, "%s%s", runtime, tail);
    else if (n == 1 && !(runtime && strcmp(runtime, usual) == 0))
        length = snprintf(out, bytes, "%s%s", usual, tail);
    else if (n == 2)
        length = snprintf(out, bytes, "/tmp/sluice-%u/tap", uid);
    if (length == 0) return ERR_NOTFOUND;
    struct sockaddr_un address;
    if ((size_t)length >= bytes) return err_set(ERR_LIMIT, "a folder with too long a name");
    return tap_folder_address(out, "2147483647-ffffffff", TAP_SOCKET_SUFFIX, &address);
}

/* base/own.h says what is wrong, and to do it with a run's folder. */
static int tell(const char *folder, int code)
{
    char why[256];
    snprintf(why, sizeof why, "%.*s", (int)strcspn(err_text(), ";"), err_text());
    return err_set(code,
                   "the folder of tapped programs' sockets, %s, cannot be used: %s; HINT: remove "
                   "it, or set XDG_RUNTIME_DIR to a folder of yours",
                   folder, why);
}

int tap_folder_check(const char *folder)
{
    struct stat st;
    int result = own_folder(folder, 0);
    if (result == ERR_NOTFOUND) return result;
    if (result != ERR_OK) return tell(folder, ERR_USAGE);
    if (stat(folder, &st) == 0 && (st.st_mode & 077) == 0) return ERR_OK;
    err_set(ERR_USAGE, "others may enter it");
    return tell(folder, ERR_USAGE);
}

/* Both folders; what is above them is the system's, or $XDG_RUNTIME_DIR, which must be ours too. */
static int make(char *folder)
{
    char *slash = strrchr(folder, '/');
    *slash = '\0';
    int result = own_make(folder, 0);
    *slash = '/';
    if (result == ERR_OK) result = own_make(folder, 0);
    return result == ERR_OK ? tap_folder_check(folder) : tell(folder, ERR_USAGE);
}

static int above_is_ours(const char *folder)
{
    char above[256];
    int length = (int)strlen(folder) - (int)sizeof tail + 1;
    snprintf(above, sizeof above, "%.*s", length, folder);
    return own_folder(above, 0);
}

int tap_folder_make(char *out, size_t bytes)
{
    int result = ERR_NOTFOUND;
    for (unsigned n = 0; n < TAP_FOLDERS; n++) {
        if (tap_folder_path(n, out, bytes) != ERR_OK) continue;
        if (n < 2 && !only() && above_is_ours(out) != ERR_OK) continue;
        result = make(out);
        if (result == ERR_OK) return ERR_OK;
    }
    return result;
}

void tap_folder_name(char name[TAP_NAME_BYTES])
{
    uint64_t hash = hash_words(clock_ns(CLOCK_REALTIME), clock_ns(CLOCK_MONOTONIC),
                               (uint64_t)getpid(), (uint64_t)(uintptr_t)name);
    snprintf(name, TAP_NAME_BYTES, "%d-%08x", (int)getpid(), (unsigned)(hash >> 32));
}

int tap_folder_process(const char *file, const char *suffix, char name[TAP_NAME_BYTES])
{
    char *end = NULL;
    long pid = isdigit((unsigned char)file[0]) ? strtol(file, &end, 10) : 0;
    if (pid <= 0 || pid > INT32_MAX) return 0;
    if (*end == '-' && strspn(end + 1, "0123456789abcdef") == 8) end += 9;
    if (strcmp(end, suffix) != 0 || end - file >= TAP_NAME_BYTES) return 0;
    snprintf(name, TAP_NAME_BYTES, "%.*s", (int)(end - file), file);
    return (int)pid;
}

int tap_folder_address(const char *folder, const char *name, const char *suffix,
                       struct sockaddr_un *address)
{
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    int n = snprintf(address->sun_path, sizeof address->sun_path, "%s/%s%s", folder, name, suffix);
    if (n < (int)sizeof address->sun_path) return ERR_OK;
    return err_set(ERR_LIMIT, "%s: too long a name for a socket in it", folder);
}
