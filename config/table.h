/* The one table of options, and values as text. Used by this folder alone. */
#ifndef SLUICE_CONFIG_TABLE_H
#define SLUICE_CONFIG_TABLE_H

#include "config/config.h"

enum option_type {
    OPTION_TEXT,     /* char * */
    OPTION_PATH,     /* char *, expanded: config_expand() */
    OPTION_ENDPOINT, /* char *, expanded likewise: it may hold a path */
    OPTION_TEXTS,    /* struct config_list; one scalar is a list of one */
    OPTION_PATHS,    /* the same, each expanded */
    OPTION_COUNT,    /* uint32_t */
    OPTION_NUMBER,   /* uint64_t */
    OPTION_BYTES,    /* uint64_t, with a suffix KiB MiB GiB TiB KB MB GB TB */
    OPTION_DURATION, /* uint64_t, whole seconds, with a suffix s m h d */
    OPTION_REAL,     /* double */
    OPTION_CHOICE,   /* int, one of `choices` */
};

struct config_choice {
    const char *name; /* NULL ends the list */
    int value;
};

struct config_option {
    const char
        *section; /* "stream", "capture.synthetic", or "trainer.saes": an item of that list */
    const char *key;
    enum option_type type;
    size_t offset; /* in struct config, or in struct config_sae */
    const char
        *standard;    /* default, as text; NULL: required; config_own: sae_options_default()'s */
    const char *unit; /* "" where it has none */
    double low, high; /* numbers: allowed range, both ends included */
    const struct config_choice *choices;
    const char *meaning;
};

enum { CONFIG_OPTIONS_MAX = 128, CONFIG_STANDARD_BYTES = 32 };
extern const char config_own[]; /* by its address */
extern const struct config_option config_options[];
extern const size_t config_options_count;

struct config_section {
    const char *name;
    const char *meaning;
};
extern const struct config_section config_sections[];
extern const size_t config_sections_count;
#define CONFIG_SAES "trainer.saes"

/* Where each option's value came from, for messages. */
struct config_origin {
    int line;     /* in the file; 0: not from the file */
    int from_set; /* 1: from --set */
};
enum config_given { CONFIG_ABSENT, CONFIG_VALUE, CONFIG_VALUES, CONFIG_SET /* by --set */ };
struct config_origins {
    struct config_origin option[CONFIG_OPTIONS_MAX]; /* by index in the table; not those of saes */
    struct config_origin sae[CONFIG_MAX_SAES];
    /* Which item of the list as it was written, from 0: one stands for several. Of each option that
     * has a list there, which value of it. */
    uint32_t item[CONFIG_MAX_SAES];
    unsigned char at[CONFIG_MAX_SAES][CONFIG_OPTIONS_MAX];
    /* enum config_given: how the option, by index in the table, stands in that item */
    unsigned char given[CONFIG_MAX_SAES][CONFIG_OPTIONS_MAX];
};

/* Index of an option in the table, -1 if there is none. */
int config_option_find(const char *section, const char *key);

/* Set the option's value in `base` (struct config or struct config_sae) from text, replacing what
 * was there. Lists: value_set clears and sets one item, value_append adds one.
 * ERR_USAGE: the text says what is allowed, without the place. ERR_NOMEM. */
int config_value_set(const struct config_option *option, void *base, const char *text);
int config_value_append(const struct config_option *option, void *base, const char *text);
void config_value_clear(const struct config_option *option, void *base);

/* A path as the user wrote it into out[CONFIG_PATH_BYTES]: ${NAME} becomes that variable of the
 * environment, $${ a literal ${, and then "~" or "~user" at the front a home folder (of a user that
 * does not exist it stays). ERR_USAGE: the variable is not set or empty, or none is named; the text
 * has no place. */
int config_expand(const char *text, char *out);

/* Put src's value of a number or a choice into dst. */
void config_value_copy(const struct config_option *option, void *dst, const void *src);
/* The default as text, NULL where one is required. Writes into out[CONFIG_STANDARD_BYTES] where the
 * table does not hold it. */
const char *config_standard(const struct config_option *option, char *out);

/* What is allowed: "a whole number from 1 to 256". Writes into out[bytes]. */
void config_value_allowed(const struct config_option *option, char *out, size_t bytes);
/* The value as YAML that gives the same value when loaded. ERR_IO. */
int config_value_print(const struct config_option *option, const void *base, FILE *out);

/* A config of defaults; config_free() it. ERR_NOMEM. */
int config_new(const char *file, struct config **config);
/* One more item in trainer.saes, with the defaults. ERR_NOMEM, ERR_USAGE (too many). */
int config_sae_add(struct config *config, struct config_sae **sae);
void config_saes_clear(struct config *config);
/* Of an item's list for `option` one value is left, which is to be set: the autoencoders that
 * differed in nothing else become one. */
void config_list_end(struct config *config, uint32_t item, int option);

/* An item of trainer.saes whose keys hold lists stands for their product: in the order of the table
 * of options, the last key's values change fastest (sweep.c). */
struct config_sweep {
    uint32_t length[CONFIG_OPTIONS_MAX]; /* of each option's list; 0: it has none */
    uint32_t at[CONFIG_OPTIONS_MAX];     /* the value in turn; zeros at the start */
};
/* Autoencoders that it stands for; without a list 1. */
double config_sweep_count(const struct config_sweep *sweep);
/* On to the next; 0: that was the last, and `at` is zeros again. */
int config_sweep_next(struct config_sweep *sweep);
/* Only what a name may have is left of values that are put into one: the + of 1e+06, quotation marks
 * and spaces go, all else, as the comma of "a, b", becomes -. */
void config_name_clean(char *name);
/* Append what varies (`given` of its origins: CONFIG_VALUES) to the name; of a name that was made
 * by default only what it doesn't say already. ERR_NOMEM. */
int config_sweep_name(struct config_sae *sae, const unsigned char *given, int named);

/* A file's or a --set's values into config (yaml.c). */
int config_yaml_load(struct config *config, const char *text, size_t bytes);
int config_yaml_set(struct config *config, const char *set);

/* Everything that can be checked without the model (check.c). */
int config_check(const struct config *config);

/* The run's folder, absolute, into out[CONFIG_PATH_BYTES] (path.c). ERR_USAGE, ERR_LIMIT. */
int config_run_dir(const struct config *config, char *out);

#endif
