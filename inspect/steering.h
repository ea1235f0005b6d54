/*
 * A model steered by several SAEs at once, each at a hook of its own. A hook's SAE sees the rows as
 * they come to it: what a clamp at a lower layer did to them is among it.
 */
#ifndef SLUICE_INSPECT_STEERING_H
#define SLUICE_INSPECT_STEERING_H

#include "engine/llama_player.h"
#include "inspect/clamp.h"

enum { STEERING_MOST = 8 };

struct steering {
    struct clamps of[STEERING_MOST];              /* at the player's hook of the same number */
    char name[STEERING_MOST][SUBJECT_NAME_BYTES]; /* what features call their SAE */
    uint32_t count;
};

/* One more SAE, which must outlive it. ERR_USAGE: too many, no dictionary, one that is there already
 * (its weights), or another of this name. */
int steering_add(struct steering *steering, struct subject *subject, const char *name);

/* Whether all are of one model, as far as they tell: by its hash, else by its file's name.
 * ERR_USAGE. */
int steering_same_model(const struct steering *steering);

/* "123=4x,upper:77=-2x": the clamps; a feature without a name is of the first SAE. With `is_shared`
 * a number alone, or a share of a strength: "123,77=-1". ERR_USAGE: no such list, no such SAE or
 * feature, one twice, an SAE without a feature. */
int steering_parse(const char *text, int is_shared, struct steering *steering);
/* "123=7.5,upper:77=3": the largest activations of those that are given in times of it. ERR_USAGE:
 * one is of no clamp. */
int steering_parse_largest(const char *text, struct steering *steering);

/* The hooks, for the player, and whether the model's are as wide as the SAEs' rows. ERR_USAGE. */
int steering_hooks(const struct steering *steering, struct llama_hooks *hooks);
int steering_check_widths(const struct steering *steering, const struct llama_hooks *hooks);

/* Of all of them: which positions are steered, and whether values are added. */
void steering_set(struct steering *steering, uint32_t first, uint32_t last, const uint8_t *spared,
                  int adds);
/* All clamps, so many times as strong as in `from`. 0: none at all, the model as it is. */
void steering_scale(struct steering *steering, const struct steering *from, double strength);

#endif
