/* Those whose features compete for places, in a row or in a batch; AuxK revives the dead. */
#include "base/err.h"
#include "sae/arch/shared.h"
#include "sae/cpu/collector.h"

enum { ROW_SHARE = 64 }; /* times k: most features of one row of a batch that shares its places */

int largest_check(const struct sae_options *o)
{
    if (o->k < 1 || o->k > o->features)
        return err_set(ERR_USAGE, "k is %u; it must lie between 1 and features (%u)", o->k,
                       o->features);
    return ERR_OK;
}

static uint32_t power_of_two_near(uint32_t n)
{
    uint32_t p = 1;
    while (2 * (uint64_t)p <= n) p *= 2;
    return n - p <= 2 * (uint64_t)p - n ? p : 2 * p;
}

static void room_of(const struct sae_options *o, uint32_t keep, uint64_t pairs,
                    struct arch_room *room)
{
    uint32_t half = sae_out_width(o) / 2, all = o->features + BLOCK_FEATURES;
    room->keep = keep;
    room->active_limit = keep + 48 * o->k + BLOCK_FEATURES;
    if (room->active_limit > all) room->active_limit = all; /* a list is never longer */
    room->active = (uint64_t)o->batch_rows * pairs;
    room->k_aux = o->k_aux ? o->k_aux : power_of_two_near(half ? half : 1);
    if (room->k_aux > o->features) room->k_aux = o->features;
    if (o->aux_coefficient <= 0) room->k_aux = 0;
    room->aux = (uint64_t)o->batch_rows * room->k_aux;
}

void largest_room(const struct sae_options *o, struct arch_room *room)
{
    room_of(o, o->k, o->k, room);
}

void largest_batch_room(const struct sae_options *o, struct arch_room *room)
{
    uint64_t most = (uint64_t)ROW_SHARE * o->k;
    room_of(o, most < o->features ? (uint32_t)most : o->features, 2ull * o->k, room);
}
