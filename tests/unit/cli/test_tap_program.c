/* Into which programs the loader would load nothing. They are made here, and none is run. */
#include "cli/tap_program.h"

#include "base/err.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { NOBODY = 65534 };
static char folder[128], path[256];

static int make_folder(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/programs-XXXXXX", tmp ? tmp : "/tmp");
    return mkdtemp(folder) && setenv("PATH", folder, 1) == 0 ? 0 : -1;
}

static int drop_folder(void **state)
{
    char command[256];
    (void)state;
    setenv("PATH", "/usr/bin:/bin", 1);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

/* A file of the folder; `path` is its. */
static void write_file(const char *name, const void *data, size_t bytes)
{
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0755);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, bytes), bytes);
    close(fd);
}

static void write_script(const char *name, const char *text)
{
    write_file(name, text, strlen(text));
}

/* A program with that loader (NULL: linked statically), for a machine. */
static void write_program(const char *name, const char *loader, uint16_t machine)
{
    struct {
        Elf64_Ehdr head;
        Elf64_Phdr part[2];
        char loader[64];
    } file = {0};
    memcpy(file.head.e_ident, ELFMAG, SELFMAG);
    file.head.e_ident[EI_CLASS] = ELFCLASS64;
    file.head.e_machine = machine;
    file.head.e_phoff = offsetof(__typeof__(file), part);
    file.head.e_phentsize = sizeof file.part[0];
    file.head.e_phnum = loader ? 2 : 1;
    file.part[0].p_type = PT_LOAD;
    file.part[1].p_type = PT_INTERP;
    file.part[1].p_offset = offsetof(__typeof__(file), loader);
    if (loader) {
        snprintf(file.loader, sizeof file.loader, "%s", loader);
        file.part[1].p_filesz = strlen(loader) + 1;
    }
    write_file(name, &file, sizeof file);
}

static uint16_t this_machine(void)
{
    Elf64_Ehdr own;
    int fd = open("/proc/self/exe", O_RDONLY);
    assert_int_equal(read(fd, &own, sizeof own), sizeof own);
    close(fd);
    return own.e_machine;
}

#define GLIBC "/lib64/ld-linux-x86-64.so.2"

static void is_refused(const char *why)
{
    assert_int_equal(tap_program_check(path), ERR_USAGE);
    if (!strstr(err_text(), why)) fail_msg("no \"%s\" in \"%s\"", why, err_text());
}

static void what_can_be_tapped(void **state)
{
    (void)state;
    write_program("usual", GLIBC, this_machine());
    assert_int_equal(tap_program_check(path), ERR_OK);
    write_script("text", "echo a shell runs this\n");
    assert_int_equal(tap_program_check(path), ERR_OK);
    write_script("empty", "");
    assert_int_equal(tap_program_check(path), ERR_OK);
    assert_int_equal(tap_program_check("/nowhere"), ERR_OK); /* exec says so */
}

static void what_cannot(void **state)
{
    (void)state;
    write_program("static", NULL, this_machine());
    is_refused("is linked statically");
    write_program("musl", "/lib/ld-musl-x86_64.so.1", this_machine());
    is_refused("is loaded by /lib/ld-musl-x86_64.so.1");
    write_program("other", GLIBC, (uint16_t)(this_machine() + 1));
    is_refused("another machine");
}

static void rights_of_others(void **state)
{
    (void)state;
    if (getuid() != 0) skip();
    write_program("setuid", GLIBC, this_machine());
    assert_int_equal(chmod(path, 04755), 0);
    assert_int_equal(tap_program_check(path), ERR_OK); /* its own user's */
    assert_int_equal(chown(path, NOBODY, 0), 0);
    assert_int_equal(chmod(path, 04755), 0);
    is_refused("runs with other rights than yours");
    assert_int_equal(chown(path, 0, NOBODY), 0);
    assert_int_equal(chmod(path, 02755), 0);
    is_refused("runs with other rights than yours");
}

/* What runs a script is what is tapped. */
static void scripts_are_followed(void **state)
{
    char text[512];
    (void)state;
    write_program("interpreter", NULL, this_machine());
    snprintf(text, sizeof text, "#! %s/interpreter -x\n", folder);
    write_script("direct", text);
    is_refused("interpreter is linked statically");
    write_script("by_env", "#!/usr/bin/env interpreter\n");
    is_refused("interpreter is linked statically");
    write_script("by_env_split", "#!/usr/bin/env -S A=b interpreter -x\n");
    is_refused("interpreter is linked statically");
    snprintf(text, sizeof text, "#!%s/direct\n", folder);
    write_script("twice", text);
    is_refused("interpreter is linked statically");
    snprintf(text, sizeof text, "#!%s/circle\n", folder);
    write_script("circle", text);
    assert_int_equal(tap_program_check(path), ERR_OK); /* and comes to an end */
    write_script("bare", "#!\n");
    assert_int_equal(tap_program_check(path), ERR_OK);
}

static void programs_are_found_as_exec_finds_them(void **state)
{
    char found[PATH_MAX], here[PATH_MAX];
    (void)state;
    write_program("usual", GLIBC, this_machine());
    assert_int_equal(tap_program_find("usual", found, sizeof found), ERR_OK);
    assert_string_equal(found, path);
    assert_int_equal(tap_program_find("none", found, sizeof found), ERR_NOTFOUND);
    assert_int_equal(tap_program_find("", found, sizeof found), ERR_NOTFOUND);
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(tap_program_find("usual", found, sizeof found), ERR_STATE);
    assert_int_equal(tap_program_find(folder, found, sizeof found), ERR_STATE);
    assert_int_equal(chmod(path, 0755), 0);
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(folder), 0);
    assert_int_equal(tap_program_find("./usual", found, sizeof found), ERR_OK);
    setenv("PATH", "/nowhere:", 1); /* an empty folder is this one */
    assert_int_equal(tap_program_find("usual", found, sizeof found), ERR_OK);
    assert_int_equal(chdir(here), 0);
}

static void libraries_that_are_not_there(void **state)
{
    char found[PATH_MAX];
    (void)state;
    assert_int_equal(tap_program_library("libnothing.so", found, sizeof found), ERR_NOTFOUND);
    assert_non_null(strstr(err_text(), "is neither beside sluice"));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, make_folder, drop_folder)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(what_can_be_tapped),
        CASE(what_cannot),
        CASE(rights_of_others),
        CASE(scripts_are_followed),
        CASE(programs_are_found_as_exec_finds_them),
        CASE(libraries_that_are_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
