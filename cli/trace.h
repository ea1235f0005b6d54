/* What the ways of `sluice trace` share. For cli/trace*.c. */
#ifndef SLUICE_CLI_TRACE_H
#define SLUICE_CLI_TRACE_H

#include "inspect/firing.h"
#include "inspect/labels.h"
#include "runtime/options.h"

#include <jansson.h>

enum { TRACE_MOST_TOKENS = 4096, TRACE_TEXT_BYTES = 96, TRACE_MOST_TOP = 64 };

struct trace {
    const struct options *options;
    struct subject subject;
    struct llama_hooks hooks; /* the subject's, then the last layer's where it is none of them */
    struct llama_player *player;
    uint32_t last_hook; /* the last layer's residual stream, among them */
    uint32_t top;       /* features, or pairs of lines, that are told */
    uint32_t
        most_tokens; /* of a prompt: what the model was trained with, TRACE_MOST_TOKENS at most */
    struct labels labels; /* of the index; none: no --index */
    int colour, json;
};

/* A token's text, as a person sees it: out[TRACE_TEXT_BYTES]. */
void trace_token(const struct trace *trace, int32_t token, char *out);

/* The ways; results on stdout. Errors of the libraries that they use. */
int trace_prompt(struct trace *trace, const char *prompt, const char *html);
int trace_groups(struct trace *trace, const char *these, const char *against);
int trace_next(struct trace *trace, const char *prompt, const char *next);

/* The page of a prompt, one file that asks for nothing else. ERR_IO, ERR_NOSPC. */
int trace_write_html(const struct trace *trace, const struct firing *firing, const char *path);

#endif
