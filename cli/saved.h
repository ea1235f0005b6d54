/* A checkpoint as a person names it: the file, its folder, or the configuration of its run; and
 * what it says of its stream. */
#ifndef SLUICE_CLI_SAVED_H
#define SLUICE_CLI_SAVED_H

#include "proto/descriptor.h"
#include "runtime/options.h"
#include "wiring/provenance.h"
#include "wiring/sections.h"

#include <jansson.h>

struct checkpoint;
struct pool;

struct saved { /* all owned */
    struct checkpoint *checkpoint;
    const char *path; /* of the file */
    struct descriptor descriptor;
    float *scale;          /* (width) */
    struct whiten *whiten; /* NULL: rows were only scaled */
    struct pool *pool;
    uint32_t saes;
    json_t *told;  /* what a configuration now says of it; NULL: none is there */
    json_t *words; /* the section `trainer`: trainer/save.h */
    struct provenance_training training; /* what these tell of all SAEs; points into `words` */
};

/* options->file: a checkpoint, a folder of them (the newest intact one, with a warning on stderr
 * where newer ones are damaged), the folder of a run, of which --consumer names a consumer where
 * there are several, or a configuration, of whose run the consumer that --consumer names, or the
 * first. A checkpoint that goes away while it is opened, as the trainer keeps only a few, is looked
 * for again. ERR_USAGE: there is none, several, or options->sets are given with something that is
 * no configuration; ERR_FORMAT, ERR_VERSION, ERR_CORRUPT, ERR_IO, ERR_NOMEM. Nothing is left open
 * on failure. */
int saved_open(const struct options *options, struct saved *saved);
void saved_close(struct saved *saved);

/* The configuration's name of SAE i; "sae.0" where an older build kept none. */
const char *saved_name(const struct saved *saved, uint32_t i);
/* What exports name: "model_name", "dataset". As the configuration says now, where it was opened by one
 * that does; else as its trainer's said. NULL: not told. */
const char *saved_setting(const struct saved *saved, const char *key);
/* What SAE i, which has these options, sees of the stream. ERR_FORMAT: they don't fit. */
int saved_view(const struct saved *saved, uint32_t i, const struct sae_options *options,
               struct view *view);
/* All names, divided by commas: out[bytes]. */
void saved_names(const struct saved *saved, char *out, size_t bytes);

#endif
