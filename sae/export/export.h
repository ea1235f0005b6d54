/*
 * What leaves: SAEs in the layouts of SAELens, sparsify and circuit-tracer, and what none of them
 * has in one of our own, for raw activations. The input scale is folded in, so nobody who loads one
 * has to know of it: with x the raw input and s the scale,
 *
 *   W_enc' = c W_enc s,  b_enc' = c b_enc,  W_dec' = W_dec / (c s),  b_dec' = b_dec / s,
 *   threshold' = c threshold,  b_mag' = c b_mag,  r_mag' = r_mag,  W_skip' = W_skip s_in / s_out
 *
 * (a transcoder's encoder has the scale s_in of what goes in, its decoder s_out of what comes out;
 * a clt's each layer's own), where c makes the decoder's directions unit vectors: for each feature
 * its own for l1, jumprelu and gated (a ReLU commutes with it), so that a feature's value is
 * f_i ||W_dec,i||; one for all for topk, batchtopk and matryoshka, whose order it must not change
 * (their directions have one norm already, unless the hooks of a stream have scales of their own,
 * or it is a transcoder: then the mean norm becomes 1).
 */
#ifndef SLUICE_SAE_EXPORT_EXPORT_H
#define SLUICE_SAE_EXPORT_EXPORT_H

#include "sae/whiten.h"

#include <jansson.h>

struct export_options {
    const float *scale; /* (width): what raw rows are multiplied by before training; NULL = 1 */
    const struct whiten *whiten; /* what scaled rows went through before training; NULL = nothing */
    const char *model_name;      /* NULL = unknown, here and below */
    const char *hook_name;       /* resid_post.15 and its like are written in the loader's own words
                             * (sae/export/hook_names.h); of a transcoder what goes in */
    const char *hook_name_out;   /* transcoder */
    /* Of a crosscoder: (hooks). Of a clt: of all that go in, then all that come out. */
    const char *const *hook_names;
    uint32_t context_tokens;
    int prepends_bos;
    json_t *metadata; /* an object: goes into the metadata as it is, but for keys that are there
                       * already. NULL = none; borrowed */
};

/* DIR/cfg.json and DIR/sae_weights.safetensors: architecture `standard` for l1, `topk` for
 * topk, `gated` for gated, `jumprelu` for batchtopk, matryoshka and jumprelu; of transcoders
 * `transcoder` for l1, `jumprelu_transcoder` for batchtopk, `skip_...` with a skip. Makes the
 * folder; replaces each file whole. ERR_STATE (`count` has no weights; SAELens has no transcoder of
 * topk and no crosscoder), ERR_IO, ERR_NOSPC, ERR_NOMEM. Blocks on the disk. */
int export_saelens(struct sae_view sae, const struct export_options *options, const char *dir);

/* DIR/HOOK/cfg.json and DIR/HOOK/sae.safetensors, HOOK as sparsify names hookpoints (layers.15).
 * ERR_STATE for all but topk and transcoders of topk whose two widths are the same: sparsify has no
 * others. */
int export_sparsify(struct sae_view sae, const struct export_options *options, const char *dir);

/* DIR/cfg.json and DIR/weights.safetensors of a transcoder, crosscoder or clt, as docs/EXPORTS.md
 * lays down. ERR_STATE: another architecture; else as export_saelens(). */
int export_hooks(struct sae_view sae, const struct export_options *options, const char *dir);

/* circuit-tracer's: DIR/config.yaml, and of a clt DIR/W_enc_I.safetensors, DIR/W_dec_I.safetensors
 * and DIR/metadata.json, of a transcoder DIR/layer_I.safetensors and DIR/layer_I.json, so that those
 * of all layers, written into one folder, are its transcoder_set. ERR_STATE: another architecture, a
 * transcoder of topk (it has no threshold), or what comes out is not as wide as what goes in;
 * ERR_USAGE as export_circuit_tracer_layer(). */
int export_circuit_tracer(struct sae_view sae, const struct export_options *options,
                          const char *dir);

/* Of a transcoder which layer its hooks are of, and what they are called within it; of a clt those
 * of its first. ERR_USAGE: the names don't tell, or not what circuit-tracer can have: the layers of
 * a clt are 0, 1, ... and have the same hooks. */
struct export_layer {
    unsigned layer;
    char in[128], out[128];
};
int export_circuit_tracer_layer(const struct sae_options *o, const struct export_options *options,
                                struct export_layer *layer);

/* All layouts, one line each. */
struct export_layout {
    const char *name;
    /* Whether it has this SAE, so that its export gives no ERR_STATE. */
    int (*has)(const struct sae_options *options);
    /* Whether this SAE by itself, of hooks that are called so, is all that its loader needs. NULL:
     * always. */
    int (*is_whole)(const struct sae_options *o, const struct export_options *options);
    int (*write)(struct sae_view sae, const struct export_options *options, const char *dir);
    /* The lines of Python that load what was written into `dir`; malloc'ed, the caller frees *text.
     * ERR_NOMEM. */
    int (*python)(struct sae_view sae, const struct export_options *options, const char *dir,
                  char **text);
};
enum { EXPORT_LAYOUTS = 4 };
extern const struct export_layout export_layouts[EXPORT_LAYOUTS];
/* NULL: there is none of that name. */
const struct export_layout *export_layout(const char *name);

/* The operations of the table. */
#define EXPORT_DECLARE(name)                                                                       \
    int export_##name##_has(const struct sae_options *options);                                    \
    int export_##name##_python(struct sae_view sae, const struct export_options *options,          \
                               const char *dir, char **text);
EXPORT_DECLARE(saelens)
EXPORT_DECLARE(sparsify)
EXPORT_DECLARE(circuit_tracer)
EXPORT_DECLARE(hooks)
#undef EXPORT_DECLARE
int export_sparsify_is_whole(const struct sae_options *o, const struct export_options *options);
int export_circuit_tracer_is_whole(const struct sae_options *o,
                                   const struct export_options *options);

#endif
