#include "engine/shards.h"

#include "base/err.h"
#include "base/fileio.h"
#include "engine/names.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { INDEX_LIMIT_BYTES = 100000000 };

static int load(const char *index, json_t **root, json_t **map)
{
    char *text;
    size_t bytes;
    json_error_t error;
    int result = file_read(index, INDEX_LIMIT_BYTES, &text, &bytes);
    if (result != ERR_OK) return result;
    *root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &error);
    free(text);
    if (!*root)
        return err_set(ERR_FORMAT, "%s: not JSON: %.200s (line %d)", index, error.text, error.line);
    *map = json_object_get(*root, "weight_map");
    if (json_is_object(*map)) return ERR_OK;
    json_decref(*root);
    return err_set(
        ERR_FORMAT,
        "%s: JSON, but without a \"weight_map\"; HINT: an index of safetensors shards is "
        "model.safetensors.index.json",
        index);
}

static const char *list(const json_t *map, struct names *names)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)map, key, value) names_add(names, key);
    return names_text(names);
}

/* No way out of the index's folder. */
static int is_inside(const char *name)
{
    if (name[0] == '/' || name[0] == '\0') return 0;
    for (const char *part = name; part; part = strchr(part, '/')) {
        if (*part == '/') part++;
        if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == '\0')) return 0;
    }
    return 1;
}

static int shard_path(const char *index, const char *tensor, const json_t *value, char *shard)
{
    const char *name = json_string_value(value), *slash = strrchr(index, '/');
    int folder = slash ? (int)(slash - index + 1) : 0;
    if (!name || !is_inside(name))
        return err_set(ERR_FORMAT, "%s: the shard of %s is not the name of a file beside it", index,
                       tensor);
    if (snprintf(shard, PATH_MAX, "%.*s%s", folder, index, name) >= PATH_MAX)
        return err_set(ERR_LIMIT, "%s: the name of the shard of %s is too long", index, tensor);
    if (access(shard, F_OK) != 0)
        return err_set(ERR_NOTFOUND,
                       "%s: the shard %s, which holds %s, is not there; HINT: put it beside the "
                       "index",
                       index, name, tensor);
    return ERR_OK;
}

int shards_find(const char *index, const char *tensor, char shard[PATH_MAX])
{
    json_t *root, *map;
    struct names names = {0};
    int result = load(index, &root, &map);
    if (result != ERR_OK) return result;
    const json_t *value = json_object_get(map, tensor);
    if (value)
        result = shard_path(index, tensor, value, shard);
    else
        result =
            err_set(ERR_USAGE, "%s has no tensor %s; it has: %s", index, tensor, list(map, &names));
    json_decref(root);
    return result;
}

static int is_other(const char *key, const char *const others[2])
{
    return (others[0] && strcmp(key, others[0]) == 0) || (others[1] && strcmp(key, others[1]) == 0);
}

int shards_only(const char *index, const char *const others[2], char **tensor)
{
    json_t *root, *map, *value;
    const char *key, *found = NULL;
    struct names names = {0};
    size_t count = 0;
    int result = load(index, &root, &map);
    if (result != ERR_OK) return result;
    json_object_foreach(map, key, value)
    {
        if (is_other(key, others)) continue;
        found = key;
        count++;
    }
    if (count != 1) {
        result = err_set(ERR_USAGE, "%s has %zu tensors; HINT: set capture.tensor to one of: %s",
                         index, json_object_size(map), list(map, &names));
    } else {
        *tensor = strdup(found);
        if (!*tensor) result = err_set(ERR_NOMEM, "no memory to read %s", index);
    }
    json_decref(root);
    return result;
}
