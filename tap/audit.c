/*
 * libsluice-audit.so (LD_AUDIT, rtld-audit(7)): what a program finds of libllama by dlsym() on a handle,
 * as Python's ctypes does, LD_PRELOAD does not reach. Here such a name is sent to the function of the
 * same name in the preloaded libsluice-tap.so, and that library is told what it stands in front of.
 *
 * The loader gives an audit library a namespace of its own, and a libc of its own if it asks for one.
 * This one needs none: it is linked with -nostdlib, allocates nothing and calls nothing.
 */
#include "proto/tap_words.h"
#include "tap/names.h"

#include <elf.h>
#include <link.h>
#include <stddef.h>
#include <stdint.h>

#define TAP_TEXT(name) #name,
static const char *const names[TAP_NAMES_COUNT] = {TAP_NAMES(TAP_TEXT)};

static struct {
    const struct link_map *map;     /* NULL: not loaded, and nothing is redirected */
    void **real;                    /* its sluice_tap_real */
    void *wrapper[TAP_NAMES_COUNT]; /* its functions */
} tap;

static int same(const char *a, const char *b)
{
    while (*a && *a == *b) a++, b++;
    return *a == *b;
}

static const char *base_name(const char *path)
{
    const char *name = path;
    for (; *path; path++)
        if (*path == '/') name = path + 1;
    return name;
}

/* The tables of a library that is loaded. The loader adds its address to these entries, or not
 * (for libraries without writable dynamic sections). */
static const void *table(const struct link_map *map, ElfW(Sxword) tag)
{
    for (const ElfW(Dyn) *d = map->l_ld; d->d_tag != DT_NULL; d++)
        if (d->d_tag == tag)
            return (const void *)(d->d_un.d_ptr < map->l_addr ? map->l_addr + d->d_un.d_ptr
                                                              : d->d_un.d_ptr);
    return NULL;
}

/* The Makefile has the library's symbols hashed as of old (DT_HASH), which says how many there are. */
static void *find(const struct link_map *map, const char *name)
{
    const uint32_t *hash = table(map, DT_HASH);
    const ElfW(Sym) *symbol = table(map, DT_SYMTAB);
    const char *text = table(map, DT_STRTAB);
    if (!hash || !symbol || !text) return NULL;
    for (uint32_t i = 0; i < hash[1]; i++)
        if (symbol[i].st_shndx != SHN_UNDEF && same(text + symbol[i].st_name, name))
            return (void *)(map->l_addr + symbol[i].st_value);
    return NULL;
}

unsigned la_version(unsigned version);
unsigned la_objopen(struct link_map *map, Lmid_t space, uintptr_t *cookie);
uintptr_t la_symbind64(ElfW(Sym) * symbol, unsigned index, uintptr_t *from, uintptr_t *to,
                       unsigned *flags, const char *name);

unsigned la_version(unsigned version)
{
    return version < LAV_CURRENT ? version : LAV_CURRENT;
}

unsigned la_objopen(struct link_map *map, Lmid_t space, uintptr_t *cookie)
{
    *cookie = (uintptr_t)map;
    if (space != LM_ID_BASE) return 0;
    if (map->l_name && same(base_name(map->l_name), TAP_LIBRARY) && !tap.map) {
        tap.map = map;
        tap.real = find(map, TAP_REAL_SYMBOL);
        for (int i = 0; i < TAP_NAMES_COUNT; i++) tap.wrapper[i] = find(map, names[i]);
    }
    return LA_FLG_BINDTO | LA_FLG_BINDFROM;
}

/* The wrapper of `name`, whose number is *i; NULL: none. */
static void *wrapper_of(const char *name, int *i)
{
    static const char prefix[] = "llama_";
    for (int k = 0; k < (int)sizeof prefix - 1; k++)
        if (name[k] != prefix[k]) return NULL;
    for (*i = 0; *i < TAP_NAMES_COUNT; ++*i)
        if (same(names[*i], name)) return tap.wrapper[*i];
    return NULL;
}

uintptr_t la_symbind64(ElfW(Sym) * symbol, unsigned index, uintptr_t *from, uintptr_t *to,
                       unsigned *flags, const char *name)
{
    int i;
    (void)index;
    *flags |= LA_SYMB_NOPLTENTER | LA_SYMB_NOPLTEXIT;
    if (!tap.map || !tap.real || *from == (uintptr_t)tap.map || *to == (uintptr_t)tap.map)
        return symbol->st_value;
    void *wrapper = wrapper_of(name, &i);
    /* A second copy of the library in the process is left alone. */
    if (!wrapper || (tap.real[i] && tap.real[i] != (void *)symbol->st_value))
        return symbol->st_value;
    tap.real[i] = (void *)symbol->st_value;
    return (uintptr_t)wrapper;
}
