/*
 * Any bytes as a file of keys, secret or public, and as an allow-list: refused with a text that
 * names the file and tells no secret, or read. What is written of that is read back the same, and a
 * list takes another client, or says that it is full.
 */
#include "runtime/keys.h"

#include "base/err.h"
#include "base/fileio.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static char folder[64], file[96], copy[96];

static void remove_folder(void)
{
    dir_remove(folder);
}

static void make_folder(void)
{
    if (folder[0]) return;
    strcpy(folder, access("/dev/shm", W_OK) == 0 ? "/dev/shm/sluice-keys-XXXXXX"
                                                 : "/tmp/sluice-keys-XXXXXX");
    if (!mkdtemp(folder)) abort();
    snprintf(file, sizeof file, "%s/file", folder);
    snprintf(copy, sizeof copy, "%s/copy", folder);
    atexit(remove_folder);
}

static void put(const uint8_t *data, size_t bytes)
{
    FILE *out = fopen(file, "wb");
    if (!out || fwrite(data, 1, bytes, out) != bytes || fclose(out) != 0) abort();
    if (chmod(file, 0600) != 0) abort();
}

/* The word behind the file's first "secret ", as a pair has it, is not told. */
static void told(int result, const uint8_t *data, size_t bytes)
{
    const char *at = memmem(data, bytes, "\nsecret ", 8);
    if (result != ERR_FORMAT && result != ERR_LIMIT && result != ERR_USAGE) abort();
    if (!strstr(err_text(), file)) {
        fprintf(stderr, "no file: %s\n", err_text());
        abort();
    }
    if (!at || bytes - (size_t)(at - (const char *)data) < 8 + KEYS_TEXT_BYTES - 1) return;
    if (memmem(err_text(), strlen(err_text()), at + 8, KEYS_TEXT_BYTES - 1)) {
        fprintf(stderr, "a secret: %s\n", err_text());
        abort();
    }
}

static void try_pair(const uint8_t *data, size_t bytes)
{
    struct keys_pair pair, again;
    int result = keys_read_pair(file, &pair);
    if (result != ERR_OK) {
        told(result, data, bytes);
        return;
    }
    unlink(copy);
    if (keys_write_pair(copy, "x", &pair) || keys_read_pair(copy, &again)) abort();
    if (strcmp(pair.public_key, again.public_key) || strcmp(pair.secret, again.secret)) abort();
}

static void try_public(const uint8_t *data, size_t bytes)
{
    char key[KEYS_TEXT_BYTES], again[KEYS_TEXT_BYTES];
    int result = keys_read_public(file, key);
    if (result != ERR_OK) {
        told(result, data, bytes);
        return;
    }
    unlink(copy);
    if (keys_write_public(copy, "x", key) || keys_read_public(copy, again)) abort();
    if (strcmp(key, again)) abort();
}

static uint32_t clients(void)
{
    struct keys_allow *allow;
    int code;
    if (keys_allow_open(file, &allow)) abort();
    uint32_t count = keys_allow_count(allow);
    if (count > KEYS_MAX_CLIENTS || keys_allow_refresh(allow, &code) || code) abort();
    if (keys_allow_roles(allow, "", NULL)) abort();
    keys_allow_close(allow);
    return count;
}

static void try_list(const uint8_t *data, size_t bytes)
{
    static const char key[] = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7";
    struct keys_allow *allow;
    int result = keys_allow_open(file, &allow);
    if (result != ERR_OK) {
        told(result, data, bytes);
        return;
    }
    keys_allow_close(allow);
    uint32_t before = clients();
    result = keys_allow_add(file, "added", KEYS_REPORT, key);
    if (result == ERR_OK) {
        if (clients() != before + 1) abort();
    } else if (result != ERR_EXISTS && result != ERR_LIMIT) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    make_folder();
    put(data, bytes);
    try_pair(data, bytes);
    try_public(data, bytes);
    try_list(data, bytes);
    return 0;
}
