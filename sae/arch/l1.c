/* "Scaling Monosemanticity" and the April 2024 update it builds on. */
#include "sae/arch/shared.h"

const struct arch arch_l1 = {
    .machine = &dictionary_machine,
    .room = relu_room,
    .tensors = tensors_of_all,
    .dense = &relu_dense,
    .way = WAY_DENSITY,
    .start = {.norm = 0.1, .share = 1},
    .saelens = "standard",
};
