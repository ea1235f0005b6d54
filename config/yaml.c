/*
 * YAML into struct config, through libyaml's document: one mapping of sections, each a mapping of
 * options. With merge.c the only file that knows YAML. Every message names file, line and
 * key.
 */
#include "config/table.h"

#include "base/err.h"
#include "config/merge.h"
#include "config/nearest.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum { KEY_BYTES = 64, PATH_BYTES = 192 };

/* What is being read, and into what. */
struct reader {
    struct config *config;
    yaml_document_t *document;
    int from_set;                     /* the document is the value of a --set */
    const struct config_sweep *sweep; /* of the item of trainer.saes that is read, or NULL */
    uint32_t item;                    /* which one it is, from 0 */
};

static int line_of(const yaml_node_t *node)
{
    return (int)node->start_mark.line + 1;
}

static int fail(const struct reader *r, const yaml_node_t *node, const char *path, const char *why)
{
    if (r->from_set) return err_set(ERR_USAGE, "--set %s: %s", path, why);
    return err_set(ERR_USAGE, "%s:%d: %s: %s", r->config->file, line_of(node), path, why);
}

/* A failure below (err_text) gets its place in front. */
static int place(const struct reader *r, const yaml_node_t *node, const char *path, int code)
{
    return code == ERR_USAGE ? fail(r, node, path, err_text()) : code;
}

/* A scalar's text; NULL where it is none, or holds a NUL, or says nothing (YAML's null). */
static const char *scalar_text(const yaml_node_t *node)
{
    if (!node || node->type != YAML_SCALAR_NODE) return NULL;
    const char *text = (const char *)node->data.scalar.value;
    if (strlen(text) != node->data.scalar.length) return NULL;
    if (text[0] == '\0' && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE) return NULL;
    return text;
}

static int section_exists(const char *name)
{
    for (size_t i = 0; i < config_sections_count; i++)
        if (strcmp(config_sections[i].name, name) == 0) return 1;
    return 0;
}

/* Whether `name` is a section inside `section`: out[PATH_BYTES] gets "section.name". */
static int subsection(const char *section, const char *name, char *out)
{
    int n = snprintf(out, PATH_BYTES, "%s%s%s", section, section[0] ? "." : "", name);
    return n > 0 && n < PATH_BYTES && section_exists(out);
}

static int fail_unknown(const struct reader *r, const yaml_node_t *node, const char *section,
                        const char *key)
{
    struct nearest nearest;
    const char *home = NULL;
    char path[PATH_BYTES], why[512];
    nearest_begin(&nearest, key);
    for (size_t i = 0; i < config_options_count; i++) {
        const struct config_option *o = &config_options[i];
        if (strcmp(o->section, section) == 0) nearest_offer(&nearest, o->key);
        if (!home && strcmp(o->key, key) == 0) home = o->section;
    }
    size_t length = strlen(section);
    for (size_t i = 0; i < config_sections_count; i++) {
        const char *name = config_sections[i].name;
        if (length == 0 && !strchr(name, '.')) nearest_offer(&nearest, name);
        if (length > 0 && strncmp(name, section, length) == 0 && name[length] == '.')
            nearest_offer(&nearest, name + length + 1);
    }
    const char *word = nearest_word(&nearest);
    snprintf(path, sizeof path, "%s%s%.64s", section, section[0] ? "." : "", key);
    if (word) {
        snprintf(why, sizeof why, "unknown key; did you mean '%s'?", word);
    } else if (home) {
        snprintf(why, sizeof why, "unknown key; there is one of that name in section '%s'", home);
    } else {
        snprintf(why, sizeof why, "unknown key; HINT: --print-config shows every option");
    }
    return fail(r, node, path, why);
}

static int fail_type(const struct reader *r, const yaml_node_t *node, const char *path,
                     const struct config_option *option)
{
    char allowed[256], why[320];
    config_value_allowed(option, allowed, sizeof allowed);
    snprintf(why, sizeof why, "the value is missing or of the wrong type; it is %s", allowed);
    return fail(r, node, path, why);
}

/* Where an item's key has a list: the value that is in turn. */
static yaml_node_t *in_turn(const struct reader *r, const struct config_option *option,
                            yaml_node_t *node)
{
    size_t i = (size_t)(option - config_options);
    if (!r->sweep || !r->sweep->length[i] || node->type != YAML_SEQUENCE_NODE) return node;
    yaml_node_t *item =
        yaml_document_get_node(r->document, node->data.sequence.items.start[r->sweep->at[i]]);
    return item ? item : node;
}

static int read_value(struct reader *r, const char *path, const struct config_option *option,
                      void *base, yaml_node_t *node)
{
    node = in_turn(r, option, node);
    const char *text = scalar_text(node);
    if (text) return place(r, node, path, config_value_set(option, base, text));
    int list = option->type == OPTION_TEXTS || option->type == OPTION_PATHS;
    if (!list || node->type != YAML_SEQUENCE_NODE) return fail_type(r, node, path, option);
    config_value_clear(option, base);
    for (yaml_node_item_t *i = node->data.sequence.items.start; i < node->data.sequence.items.top;
         i++) {
        yaml_node_t *item = yaml_document_get_node(r->document, *i);
        text = scalar_text(item);
        if (!text) return fail_type(r, item ? item : node, path, option);
        int result = place(r, item, path, config_value_append(option, base, text));
        if (result != ERR_OK) return result;
    }
    return ERR_OK;
}

static int read_saes(struct reader *r, yaml_node_t *node);

/* An autoencoder's option has a value, if it has no list: what varies is in its name. */
static void give(struct config *config, size_t sae, int option, enum config_given how)
{
    unsigned char *given = &config->origins->given[sae][option];
    if (*given != CONFIG_VALUES) *given = (unsigned char)how;
}

/* One pair of a section: an option, or a section inside it. `seen` catches keys given twice. */
static int read_pair(struct reader *r, const char *section, void *base, unsigned char *seen,
                     yaml_node_t *key_node, yaml_node_t *value, yaml_node_t **inner,
                     char *inner_name)
{
    char path[PATH_BYTES];
    const char *key = scalar_text(key_node);
    *inner = NULL;
    if (!key || !value)
        return fail(r, key_node, section[0] ? section : "configuration", "a key must be a word");
    if (!section[0] && strncmp(key, "x-", 2) == 0) return ERR_OK; /* a place for anchors */
    if (subsection(section, key, path)) {
        for (size_t i = 0; i < config_sections_count; i++) {
            if (strcmp(config_sections[i].name, path) != 0) continue;
            if (seen[CONFIG_OPTIONS_MAX + i]++) return fail(r, key_node, path, "given twice");
        }
        if (strcmp(path, CONFIG_SAES) == 0) return read_saes(r, value);
        *inner = value;
        snprintf(inner_name, PATH_BYTES, "%s", path);
        return ERR_OK;
    }
    int index = section[0] ? config_option_find(section, key) : -1;
    if (index < 0) return fail_unknown(r, key_node, section, key);
    snprintf(path, sizeof path, "%s.%s", section, key);
    if (seen[index]++) return fail(r, key_node, path, "given twice");
    if (strcmp(section, CONFIG_SAES) == 0)
        give(r->config, r->config->trainer.saes_count - 1, index, CONFIG_VALUE);
    else
        r->config->origins->option[index] =
            (struct config_origin){.line = line_of(key_node), .from_set = r->from_set};
    return read_value(r, path, &config_options[index], base, value);
}

static int read_section(struct reader *r, const char *section, void *base, unsigned char *seen,
                        yaml_node_t *node);

static int read_pairs(struct reader *r, const char *section, void *base, unsigned char *seen,
                      yaml_node_t *node, const struct config_pairs *pairs)
{
    for (size_t i = 0; i < pairs->count; i++) {
        yaml_node_t *key = yaml_document_get_node(r->document, pairs->pair[i].key);
        yaml_node_t *value = yaml_document_get_node(r->document, pairs->pair[i].value);
        yaml_node_t *inner;
        char name[PATH_BYTES];
        int result = read_pair(r, section, base, seen, key ? key : node, value, &inner, name);
        /* Names of sections grow with each level and the table is finite: this ends. */
        if (result == ERR_OK && inner) result = read_section(r, name, base, seen, inner);
        if (result != ERR_OK) return result;
    }
    return ERR_OK;
}

/* A mapping with what it merges. */
static int pairs_of(const struct reader *r, const char *section, yaml_node_t *node,
                    struct config_pairs *pairs)
{
    yaml_node_t *where;
    int result = config_merge(r->document, node, pairs, &where);
    return place(r, where, section, result);
}

static int read_section(struct reader *r, const char *section, void *base, unsigned char *seen,
                        yaml_node_t *node)
{
    struct config_pairs pairs;
    const char *what = section[0] ? section : "configuration";
    if (node->type != YAML_MAPPING_NODE)
        return fail(r, node, what, "must be a mapping (key: value, ...)");
    int result = pairs_of(r, what, node, &pairs);
    if (result == ERR_OK) result = read_pairs(r, section, base, seen, node, &pairs);
    free(pairs.pair);
    return result;
}

/* One of the autoencoders that an item stands for. */
static int read_sae(struct reader *r, yaml_node_t *node)
{
    unsigned char seen[CONFIG_OPTIONS_MAX + CONFIG_OPTIONS_MAX] = {0};
    struct config_sae *sae;
    int result = place(r, node, CONFIG_SAES, config_sae_add(r->config, &sae));
    if (result != ERR_OK) return result;
    uint32_t index = r->config->trainer.saes_count - 1;
    struct config_origins *origins = r->config->origins;
    origins->sae[index] = (struct config_origin){.line = line_of(node), .from_set = r->from_set};
    origins->item[index] = r->item;
    for (size_t i = 0; i < config_options_count; i++) {
        origins->given[index][i] = r->sweep->length[i] > 0 ? CONFIG_VALUES : CONFIG_ABSENT;
        origins->at[index][i] = (unsigned char)r->sweep->at[i];
    }
    result = read_section(r, CONFIG_SAES, sae, seen, node);
    if (result != ERR_OK) return result;
    if (!seen[config_option_find(CONFIG_SAES, "arch")])
        return fail(r, node, CONFIG_SAES ".arch", "is required, such as topk");
    return ERR_OK;
}

static int note_list(const struct reader *r, const char *key, const yaml_node_t *value,
                     struct config_sweep *sweep)
{
    int index = config_option_find(CONFIG_SAES, key);
    if (index < 0 || sweep->length[index]) return ERR_OK;
    size_t items = (size_t)(value->data.sequence.items.top - value->data.sequence.items.start);
    if (strcmp(key, "name") == 0)
        return fail(r, value, CONFIG_SAES ".name",
                    "is one text; where other keys have lists, what varies is appended to it");
    if (items == 0) {
        char path[PATH_BYTES];
        snprintf(path, sizeof path, CONFIG_SAES ".%.64s", key);
        return fail(r, value, path, "the list is empty");
    }
    sweep->length[index] = (uint32_t)items;
    return ERR_OK;
}

/* The lists of an item. Keys that are unknown or given twice are told of when it is read. */
static int find_lists(const struct reader *r, yaml_node_t *node, struct config_sweep *sweep)
{
    struct config_pairs pairs;
    int result = pairs_of(r, CONFIG_SAES, node, &pairs);
    for (size_t i = 0; i < pairs.count && result == ERR_OK; i++) {
        yaml_node_t *value = yaml_document_get_node(r->document, pairs.pair[i].value);
        const char *key = scalar_text(yaml_document_get_node(r->document, pairs.pair[i].key));
        if (key && value && value->type == YAML_SEQUENCE_NODE)
            result = note_list(r, key, value, sweep);
    }
    free(pairs.pair);
    return result;
}

static int read_item(struct reader *r, yaml_node_t *node)
{
    struct config_sweep sweep = {0};
    char why[192];
    int result = node->type == YAML_MAPPING_NODE ? find_lists(r, node, &sweep) : ERR_OK;
    double count = config_sweep_count(&sweep);
    uint32_t before = r->config->trainer.saes_count;
    if (result == ERR_OK && count > 1 && before + count > CONFIG_MAX_SAES) {
        snprintf(
            why, sizeof why,
            "the product of this item's lists makes %.15g autoencoders, and %u stand before it; "
            "at most %d are possible",
            count, before, CONFIG_MAX_SAES);
        result = fail(r, node, CONFIG_SAES, why);
    }
    r->sweep = &sweep;
    int more = 1;
    while (result == ERR_OK && more) {
        result = read_sae(r, node);
        more = config_sweep_next(&sweep);
    }
    r->sweep = NULL;
    r->item++;
    return result;
}

static int read_saes(struct reader *r, yaml_node_t *node)
{
    config_saes_clear(r->config);
    if (node->type == YAML_MAPPING_NODE) return read_item(r, node);
    if (node->type != YAML_SEQUENCE_NODE)
        return fail(r, node, CONFIG_SAES, "must be a list of mappings: [{arch: topk, ...}]");
    for (yaml_node_item_t *i = node->data.sequence.items.start; i < node->data.sequence.items.top;
         i++) {
        yaml_node_t *item = yaml_document_get_node(r->document, *i);
        int result = read_item(r, item ? item : node);
        if (result != ERR_OK) return result;
    }
    return ERR_OK;
}

/* Load one document and nothing after it. On success the caller deletes it. */
static int load_document(const char *file, const char *text, size_t bytes,
                         yaml_document_t *document)
{
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return err_set(ERR_NOMEM, "no memory for the configuration");
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, bytes);
    int result = ERR_OK;
    yaml_document_t second;
    if (!yaml_parser_load(&parser, document)) {
        int line = (int)parser.problem_mark.line + 1;
        result = err_set(ERR_USAGE, "%s:%d: not valid YAML: %s%s%s", file, line,
                         parser.problem ? parser.problem : "cannot be read",
                         parser.context ? ", " : "", parser.context ? parser.context : "");
    } else if (!yaml_parser_load(&parser, &second)) {
        result =
            err_set(ERR_USAGE, "%s:%d: not valid YAML: %s", file, (int)parser.problem_mark.line + 1,
                    parser.problem ? parser.problem : "cannot be read");
        yaml_document_delete(document);
    } else {
        yaml_node_t *root = yaml_document_get_root_node(&second);
        int line = root ? line_of(root) : 0;
        yaml_document_delete(&second);
        if (root) {
            result = err_set(ERR_USAGE, "%s:%d: a second document; one file is one pipeline", file,
                             line);
            yaml_document_delete(document);
        }
    }
    yaml_parser_delete(&parser);
    return result;
}

int config_yaml_load(struct config *config, const char *text, size_t bytes)
{
    yaml_document_t document;
    int result = load_document(config->file, text, bytes, &document);
    if (result != ERR_OK) return result;
    struct reader reader = {.config = config, .document = &document};
    unsigned char seen[CONFIG_OPTIONS_MAX + CONFIG_OPTIONS_MAX] = {0};
    yaml_node_t *root = yaml_document_get_root_node(&document);
    result = root ? read_section(&reader, "", config, seen, root)
                  : err_set(ERR_USAGE,
                            "%s: the file is empty; HINT: configs/ has files to start from, "
                            "--print-config shows every option",
                            config->file);
    yaml_document_delete(&document);
    return result;
}

/* What a --set names. */
struct target {
    const struct config_option *option;
    int in_item;   /* of trainer.saes: all autoencoders that `item` stands for */
    uint32_t item; /* as the user counts them */
};

static int find_item(const struct reader *r, const char *path, const char *number, uint32_t *item)
{
    char *end;
    unsigned long index = strtoul(number, &end, 10);
    uint32_t items = config_items(r->config);
    if (end == number || *end || index >= items)
        return err_set(ERR_USAGE, "--set %.80s: trainer.saes has %u items, counted from 0", path,
                       items);
    *item = (uint32_t)index;
    return ERR_OK;
}

/* Find what "section.key" or "trainer.saes.ITEM.key" names. */
static int find_target(struct reader *r, const char *path, struct target *target)
{
    char section[PATH_BYTES], key[KEY_BYTES];
    const char *dot = strrchr(path, '.');
    if (!dot || dot == path || !dot[1] || strlen(dot + 1) >= sizeof key ||
        (size_t)(dot - path) >= sizeof section)
        return err_set(ERR_USAGE, "--set %.80s: give it as section.key=value", path);
    snprintf(section, sizeof section, "%.*s", (int)(dot - path), path);
    snprintf(key, sizeof key, "%s", dot + 1);
    size_t prefix = strlen(CONFIG_SAES ".");
    if (strncmp(section, CONFIG_SAES ".", prefix) == 0) {
        int result = find_item(r, path, section + prefix, &target->item);
        if (result != ERR_OK) return result;
        target->in_item = 1;
        snprintf(section, sizeof section, CONFIG_SAES);
    } else if (strcmp(section, CONFIG_SAES) == 0) {
        return err_set(ERR_USAGE, "--set %.80s: give the item's number: trainer.saes.0.%s", path,
                       key);
    }
    if (!section_exists(section)) return fail_unknown(r, NULL, "", section);
    int index = config_option_find(section, key);
    if (index < 0) return fail_unknown(r, NULL, section, key);
    target->option = &config_options[index];
    return ERR_OK;
}

/* A list in brackets and quoted text are YAML; anything else is taken as it stands, so that "-",
 * "~/x", "[::1]:80" and "a: b" need no quotes inside the shell's. */
static int is_yaml(const struct config_option *option, const char *value)
{
    int list = option->type == OPTION_TEXTS || option->type == OPTION_PATHS;
    return value[0] == '"' || value[0] == '\'' || (list && value[0] == '[');
}

/* Read `value` as YAML into an option, or, with option = NULL, into trainer.saes. */
static int set_yaml(struct reader *r, const char *path, const struct config_option *option,
                    void *base, const char *value)
{
    yaml_document_t document;
    char name[PATH_BYTES];
    snprintf(name, sizeof name, "--set %.80s", path);
    int result = load_document(name, value, strlen(value), &document);
    if (result != ERR_OK) return result;
    r->document = &document;
    yaml_node_t *root = yaml_document_get_root_node(&document);
    if (!root) {
        result = fail(r, NULL, path, "has no value");
    } else {
        result = option ? read_value(r, path, option, base, root) : read_saes(r, root);
    }
    yaml_document_delete(&document);
    return result;
}

static int set_value(struct reader *r, const char *path, const struct config_option *option,
                     void *base, const char *value)
{
    if (is_yaml(option, value)) return set_yaml(r, path, option, base, value);
    return place(r, NULL, path, config_value_set(option, base, value));
}

/* Into each autoencoder that the item stands for; what was a list there is one value now. */
static int set_in_item(struct reader *r, const char *path, const struct target *t,
                       const char *value)
{
    struct config_trainer *trainer = &r->config->trainer;
    struct config_origins *origins = r->config->origins;
    int option = (int)(t->option - config_options), result = ERR_OK;
    config_list_end(r->config, t->item, option);
    for (uint32_t i = 0; i < trainer->saes_count && result == ERR_OK; i++) {
        if (origins->item[i] != t->item) continue;
        origins->given[i][option] = CONFIG_SET;
        result = set_value(r, path, t->option, &trainer->saes[i], value);
    }
    return result;
}

int config_yaml_set(struct config *config, const char *set)
{
    struct reader r = {.config = config, .from_set = 1};
    struct target target = {0};
    char path[PATH_BYTES];
    const char *equals = strchr(set, '=');
    if (!equals || equals == set || (size_t)(equals - set) >= sizeof path)
        return err_set(ERR_USAGE, "--set %.80s: give it as section.key=value", set);
    snprintf(path, sizeof path, "%.*s", (int)(equals - set), set);
    const char *value = equals + 1;
    if (strcmp(path, CONFIG_SAES) == 0) return set_yaml(&r, path, NULL, NULL, value);
    int result = find_target(&r, path, &target);
    if (result != ERR_OK) return result;
    if (target.in_item) return set_in_item(&r, path, &target, value);
    config->origins->option[target.option - config_options].from_set = 1;
    return set_value(&r, path, target.option, config, value);
}
