/*
 * Command lines of all binaries, in the same words. A program is a table; --help, the man page and
 * the parser all read it, so that they can't disagree.
 *
 *     PROGRAM [FILE] [options]              or, with commands,  PROGRAM COMMAND [FILE] [args]
 * [options]
 */
#ifndef SLUICE_RUNTIME_OPTIONS_H
#define SLUICE_RUNTIME_OPTIONS_H

#include "runtime/log.h"

#include <stddef.h>
#include <stdio.h>

enum { OPTIONS_MAX_SETS = 64, OPTIONS_MAX_ARGUMENTS = 16, OPTIONS_MAX_VALUES = 32 };

struct option_spec {
    const char *name; /* without dashes: "producer" */
    const char
        *value; /* what it takes, for people: "I"; "DIR...": and may be given many times; NULL:
                        * a flag */
    const char *meaning;
};

struct config;
struct options;

struct command_spec {
    const char *name;      /* "up"; two words are allowed: "consumer drop" */
    const char *arguments; /* after FILE, for people: "NAME"; NULL: none */
    unsigned arguments_min, arguments_max;
    int file_optional; /* 1: FILE may be missing (it comes first where it is there) */
    int takes_program; /* 1: behind "--" stands a program with its arguments */
    const char *usage; /* what stands behind the name, for people; NULL: FILE and `arguments` */
    const char *meaning;
    const struct option_spec *options; /* of this command alone; NULL: none */
    size_t options_count;
    /* For the program itself: what it does. `reads_weights`: the action opens FILE itself, which need
     * not be a configuration, and gets NULL for it. */
    int (*action)(const struct options *options, const struct config *config);
    int reads_weights;
};

struct environment_spec {
    const char *name;
    const char *meaning;
};

struct program_spec {
    const char *name;        /* "sluice-broker" */
    const char *summary;     /* one line */
    const char *description; /* paragraphs divided by "\n\n", for --help and the man page */
    const struct option_spec *options; /* beside the common ones; NULL: none */
    size_t options_count;
    const struct command_spec *commands; /* NULL: a program without commands; it takes FILE */
    size_t commands_count;
    const struct environment_spec *environment; /* of this program alone; NULL: none */
    size_t environment_count;
    const char *examples; /* lines for the man page; NULL: none */
};

struct option_value {
    const char *name;
    const char *value; /* "" for a flag */
};

struct options {                        /* strings point into argv and the tables */
    const struct command_spec *command; /* NULL without commands */
    const char *file;                   /* NULL: none was given */
    const char *sets[OPTIONS_MAX_SETS];
    size_t sets_count;
    const char *arguments[OPTIONS_MAX_ARGUMENTS]; /* positional, after FILE */
    size_t arguments_count;
    char **program; /* behind "--", as for exec(), in argv; NULL: none was given */
    struct option_value values[OPTIONS_MAX_VALUES];
    size_t values_count;
    enum log_level log_level;
    int print_config, check;
};

/* Parse. --help, --version, and what man/generate.sh asks for (--print-man, --print-markdown) are
 * answered on stdout, and *done = 1: exit 0.
 * ERR_USAGE: the text says what is wrong and names the nearest option or command. */
int options_parse(const struct program_spec *program, int argc, char **argv,
                  struct options *options, int *done);
/* Value of an option; NULL where it was not given, "" for a flag that was. */
const char *options_get(const struct options *options, const char *name);
/* The value of one that may be given many times, the i-th from 0; NULL: it was given less often. */
const char *options_get_nth(const struct options *options, const char *name, size_t i);
/* Value as a whole number in [low, high]; `missing` where not given. ERR_USAGE names the option. */
int options_number(const struct options *options, const char *name, long long low, long long high,
                   long long missing, long long *number);

/* Flush stdout at a program's end. ERR_IO: what it printed did not all arrive. */
int options_end_output(void);

int options_write_help(const struct program_spec *program, const struct command_spec *command,
                       FILE *out);
int options_write_man(const struct program_spec *program, FILE *out);

#endif
