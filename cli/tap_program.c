#include "cli/tap_program.h"

#include "base/err.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { SCRIPTS_DEEP = 4, LINE_BYTES = 256 }; /* as the kernel has it */

/* ---- which file ---- */

static int may_run(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) return errno == ENOENT || errno == ENOTDIR ? ERR_NOTFOUND : ERR_STATE;
    return S_ISREG(st.st_mode) && access(path, X_OK) == 0 ? ERR_OK : ERR_STATE;
}

static int found(const char *name, int result)
{
    if (result == ERR_NOTFOUND) return err_set(ERR_NOTFOUND, "%s: there is no such program", name);
    if (result == ERR_STATE) return err_set(ERR_STATE, "%s: may not be run", name);
    return result;
}

int tap_program_find(const char *name, char *path, size_t bytes)
{
    const char *folders = getenv("PATH");
    int result = ERR_NOTFOUND;
    if (strchr(name, '/')) {
        snprintf(path, bytes, "%s", name);
        return found(name, may_run(path));
    }
    for (const char *at = folders ? folders : "/bin:/usr/bin"; *name; at++) {
        size_t length = strcspn(at, ":");
        snprintf(path, bytes, "%.*s%s%s", (int)length, at, length ? "/" : "", name);
        int is = may_run(path);
        if (is == ERR_OK) return ERR_OK;
        if (is == ERR_STATE) result = ERR_STATE;
        at += length;
        if (!*at) break;
    }
    return found(name, result);
}

/* ---- what the loader makes of it ---- */

static int has_other_rights(int fd, const char *path)
{
    struct stat st;
    if (fstat(fd, &st) != 0) return ERR_OK;
    int is_other = ((st.st_mode & S_ISUID) && st.st_uid != getuid()) ||
                   ((st.st_mode & S_ISGID) && (st.st_mode & S_IXGRP) && st.st_gid != getgid()) ||
                   (getuid() != 0 && fgetxattr(fd, "security.capability", NULL, 0) > 0);
    if (!is_other) return ERR_OK;
    return err_set(ERR_USAGE,
                   "%s runs with other rights than yours (setuid, setgid or capabilities), and the "
                   "system loads nothing into such a program; HINT: run a copy without them, or as "
                   "its user",
                   path);
}

/* Its loader's path into out[LINE_BYTES]; "": it has none. */
static void read_loader(int fd, const Elf64_Ehdr *elf, char *out)
{
    Elf64_Phdr part;
    out[0] = '\0';
    for (int i = 0; i < elf->e_phnum; i++) {
        off_t at = (off_t)(elf->e_phoff + (uint64_t)i * elf->e_phentsize);
        if (pread(fd, &part, sizeof part, at) != sizeof part) return;
        if (part.p_type != PT_INTERP) continue;
        ssize_t n = pread(fd, out, LINE_BYTES - 1, (off_t)part.p_offset);
        size_t length = part.p_filesz < LINE_BYTES ? (size_t)part.p_filesz : LINE_BYTES - 1;
        out[n < 0 ? 0 : (size_t)n < length ? (size_t)n : length] = '\0';
    }
}

/* What this very program is made for. */
static int is_of_this_machine(const Elf64_Ehdr *elf)
{
    Elf64_Ehdr own;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    int known = fd >= 0 && read(fd, &own, sizeof own) == sizeof own;
    if (fd >= 0) close(fd);
    return !known ||
           (elf->e_ident[EI_CLASS] == own.e_ident[EI_CLASS] && elf->e_machine == own.e_machine);
}

static int check_elf(int fd, const Elf64_Ehdr *elf, const char *path)
{
    char loader[LINE_BYTES];
    if (!is_of_this_machine(elf))
        return err_set(ERR_USAGE,
                       "%s is made for another machine than sluice; HINT: one of 64 bits", path);
    read_loader(fd, elf, loader);
    if (!loader[0])
        return err_set(ERR_USAGE,
                       "%s is linked statically, and nothing can be loaded into it; HINT: build it "
                       "with shared libraries (of llama.cpp: -DBUILD_SHARED_LIBS=ON, without "
                       "-static)",
                       path);
    const char *name = strrchr(loader, '/') ? strrchr(loader, '/') + 1 : loader;
    if (strncmp(name, "ld-linux", 8) == 0) return ERR_OK;
    return err_set(ERR_USAGE,
                   "%s is loaded by %s, and the tap needs the GNU C library's; HINT: build it on a "
                   "system with glibc",
                   path, loader);
}

/* The interpreter of a script, and of `#!/usr/bin/env NAME` that of NAME, into path[bytes]; 0: it is not
 * told. */
static int interpreter(char *line, char *path, size_t bytes)
{
    char *rest;
    line[strcspn(line, "\n")] = '\0';
    char *word = strtok_r(line + 2, " \t", &rest);
    if (!word) return 0;
    const char *name = strrchr(word, '/') ? strrchr(word, '/') + 1 : word;
    while (word && (strcmp(name, "env") == 0 || word[0] == '-' || strchr(word, '='))) {
        word = strtok_r(NULL, " \t", &rest);
        name = "";
    }
    return word && tap_program_find(word, path, bytes) == ERR_OK;
}

static int check_depth(const char *path, int depth)
{
    union {
        char line[LINE_BYTES];
        Elf64_Ehdr elf;
    } head;
    char next[PATH_MAX] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return ERR_OK;
    ssize_t n = read(fd, head.line, sizeof head.line - 1);
    head.line[n > 0 ? n : 0] = '\0';
    int result = has_other_rights(fd, path);
    if (result == ERR_OK && n >= (ssize_t)sizeof head.elf &&
        memcmp(head.elf.e_ident, ELFMAG, SELFMAG) == 0)
        result = check_elf(fd, &head.elf, path);
    else if (result == ERR_OK && memcmp(head.line, "#!", 2) == 0 && depth < SCRIPTS_DEEP &&
             interpreter(head.line, next, sizeof next))
        result = check_depth(next, depth + 1);
    close(fd);
    return result;
}

int tap_program_check(const char *path)
{
    return check_depth(path, 0);
}

/* ---- the libraries ---- */

int tap_program_library(const char *name, char *path, size_t bytes)
{
    char own[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", own, sizeof own - 1);
    if (n <= 0) return err_set(ERR_IO, "it cannot be told where sluice lies: %s", strerror(errno));
    own[n] = '\0';
    char *slash = strrchr(own, '/');
    *slash = '\0';
    snprintf(path, bytes, "%s/%s", own, name);
    if (access(path, R_OK) != 0) {
        char *above = strrchr(own, '/');
        if (above) snprintf(path, bytes, "%.*s/lib/sluice/%s", (int)(above - own), own, name);
    }
    if (access(path, R_OK) != 0)
        return err_set(
            ERR_NOTFOUND,
            "%s is neither beside sluice in %s nor in ../lib/sluice; HINT: make, or make "
            "install",
            name, own);
    if (strpbrk(path, " :"))
        return err_set(
            ERR_USAGE,
            "the loader divides lists of libraries at spaces and colons, and %s has one; "
            "HINT: make install PREFIX=, where no folder has one",
            path);
    return ERR_OK;
}
