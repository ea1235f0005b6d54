#include "sae/arch/arch.h"

#include "base/err.h"

#define PLACE(constant, name, ...) [constant] = &arch_##name,

static const struct arch *const archs[SAE_ARCHS] = {SAE_ARCH_TABLE(PLACE)};

const struct arch *arch_of(const struct sae_options *options)
{
    const struct arch *arch = archs[options->arch];
    return arch->variant ? arch->variant(options) : arch;
}

int arch_check(const struct sae_options *o)
{
    struct arch_room room = {0};
    int result = sae_options_check_rows(o);
    if (result != ERR_OK) return result;
    const struct arch *arch = arch_of(o);
    if (arch->check) result = arch->check(o);
    if (result == ERR_OK) result = sae_options_check(o);
    if (result != ERR_OK || !arch->room) return result;
    arch->room(o, &room);
    if (room.active > INT32_MAX || room.aux > INT32_MAX)
        return err_set(ERR_USAGE, "batch_rows times active features per row is beyond 2^31; HINT: "
                                  "take a smaller batch");
    return ERR_OK;
}
