/* Which of the stream's hooks an autoencoder sees: trainer.saes.N.hooks. */
#include "config/config.h"

#include "base/err.h"

#include <string.h>

enum { NAMES_BYTES = 400 };

static int unknown(const char *name, size_t length, const char *const *names, uint32_t count)
{
    char known[NAMES_BYTES];
    size_t used = 0;
    known[0] = '\0';
    for (uint32_t h = 0; h < count && used < sizeof known; h++)
        used +=
            (size_t)snprintf(known + used, sizeof known - used, "%s%s", h ? ", " : "", names[h]);
    return err_set(ERR_USAGE, "'%.*s' is none of the stream's hooks; HINT: it has %s",
                   length < 80 ? (int)length : 80, name, known);
}

static uint32_t find(const char *name, size_t length, const char *const *names, uint32_t count)
{
    uint32_t h = 0;
    while (h < count && (strncmp(names[h], name, length) != 0 || names[h][length])) h++;
    return h;
}

/* One name of the text; *text goes behind it. */
static int take_one(const char **text, const char *const *names, uint32_t count,
                    struct config_hooks *chosen)
{
    const char *name = *text + strspn(*text, " \t"), *end = name + strcspn(name, ",");
    size_t length = (size_t)(end - name);
    *text = *end ? end + 1 : end;
    while (length > 0 && strchr(" \t", name[length - 1])) length--;
    if (length == 0) return err_set(ERR_USAGE, "there is no name before or behind a comma");
    uint32_t place = find(name, length, names, count);
    if (place == count) return unknown(name, length, names, count);
    for (uint32_t h = 0; h < chosen->count; h++)
        if (chosen->place[h] == place)
            return err_set(ERR_USAGE, "'%s' is there twice", names[place]);
    chosen->place[chosen->count++] = place;
    return ERR_OK;
}

int config_sae_hooks(const struct config_sae *sae, const char *const *names, uint32_t count,
                     struct config_hooks *hooks)
{
    struct config_hooks chosen = {0};
    int result = ERR_OK;
    if (count > ROW_MAX_HOOKS)
        return err_set(ERR_USAGE, "%u hooks are more than %d", count, ROW_MAX_HOOKS);
    for (const char *text = sae->hooks; *text && result == ERR_OK;) {
        int more = strchr(text, ',') != NULL;
        result = take_one(&text, names, count, &chosen);
        if (result == ERR_OK && more && !*text)
            return err_set(ERR_USAGE, "there is no name before or behind a comma");
    }
    for (uint32_t h = 0; !sae->hooks[0] && h < count; h++) chosen.place[chosen.count++] = h;
    if (result == ERR_OK) *hooks = chosen;
    return result;
}
