/*
 * A program that loads its libllama ($TAP_HOST_LIBRARY, a file of any name) and the part of it that links
 * that library ($TAP_HOST_PART, tap_host.c) for itself alone, as Python does with an extension.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

static void *load(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library) return library;
    fprintf(stderr, "tap_host_loads: %s\n", dlerror());
    exit(1);
}

int main(int argc, char **argv)
{
    load(getenv("TAP_HOST_LIBRARY"));
    void *part = load(getenv("TAP_HOST_PART"));
    return ((int (*)(int, char **))dlsym(part, "tap_host_main"))(argc, argv);
}
