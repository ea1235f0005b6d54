/*
 * What the system lets this process have (address space, threads, files), asked for before a
 * library is called that has no answer to being refused: OpenBLAS asks again without end, ZeroMQ
 * aborts.
 */
#ifndef SLUICE_BASE_LIMITS_H
#define SLUICE_BASE_LIMITS_H

#include <stdint.h>

/* Whether `bytes` of address space can be had at once; they are given back. `what` is what they are
 * for ("OpenBLAS's work areas"). ERR_NOMEM: the text names the limit that stands in the way, how
 * much it lets, and how to raise it. Blocks on nothing. */
int limits_memory(uint64_t bytes, const char *what);

/* Whether files of `bytes` can be mapped beside what is there. Only `ulimit -v` is looked at: a map
 * of a file takes no memory that could be lacking. ERR_NOMEM as above. Reads /proc. */
int limits_mapping(uint64_t bytes, const char *what);

/* Whether `count` (1 to 64) threads can run beside those that do; they have ended when it returns.
 * ERR_NOMEM as above. */
int limits_threads(uint32_t count, const char *what);

/* Whether `count` files more can be open at once beside those that are, as far as `ulimit -n` says
 * it. ERR_USAGE, as no second try changes it: the text names the limit. Reads /proc. */
int limits_files(uint32_t count, const char *what);

/* Let this process have as many files as the system allows it (`ulimit -Hn`, 65,536 at most): what
 * it has without asking is often 1,024. */
void limits_raise_files(void);
/* Files more that may be open at once beside those that are; UINT32_MAX where nothing says so. Reads
 * /proc. */
uint32_t limits_files_left(void);

/* Whether a file may become `bytes` long. ERR_USAGE, as no second try changes it. */
int limits_file(uint64_t bytes, const char *what);

/* The text of the functions above, for a caller that was refused elsewhere: sets it and returns
 * ERR_NOMEM. */
int limits_no_memory(uint64_t bytes, const char *what);
int limits_no_threads(uint32_t count, const char *what);

/* The limits of this process that are not "unlimited", as the shell's ulimit names them, into
 * out: "ulimit -v is 100000 KiB, of which 62712 are taken"; "" where there are none. */
void limits_text(char *out, unsigned long bytes);

#endif
