#include "browse/single.h"

#include "base/err.h"
#include "base/fileio.h"
#include "base/json_put.h"
#include "browse/page.h"
#include "browse/token.h"
#include "inspect/export/words.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DENSITY_BINS = 24, DENSITY_FROM = -6 }; /* as in page.js */

static const char style_line[] = "<link rel=\"stylesheet\" href=\"page.css\">";
static const char script_line[] = "<script src=\"page.js\" defer></script>";
static const char policy_open[] = "content=\"default-src 'none'; style-src 'self'; "
                                  "script-src 'self'; connect-src 'self';";

/* ---- the data ---- */

/* Bytes that need not be UTF-8, as a text of characters 0 to 255. */
static json_t *bytes_json(const char *data, size_t bytes)
{
    char *out = malloc(2 * bytes + 1);
    size_t used = 0;
    for (size_t i = 0; out && i < bytes; i++) {
        unsigned char c = (unsigned char)data[i];
        if (c >= 0x80) out[used++] = (char)(0xc0 | c >> 6);
        out[used++] = (char)(c >= 0x80 ? 0x80 | (c & 0x3f) : c);
    }
    json_t *text = out ? json_stringn(out, used) : NULL;
    free(out);
    return text;
}

static void put_token(const struct index *index, json_t *tokens, const json_t *token)
{
    char key[24];
    size_t bytes;
    if (!json_is_integer(token)) return;
    snprintf(key, sizeof key, "%" JSON_INTEGER_FORMAT, json_integer_value(token));
    if (json_object_get(tokens, key)) return;
    const char *text = index_token(index, json_integer_value(token), &bytes);
    if (text) json_put(tokens, key, bytes_json(text, bytes));
}

/* The tokens of a list of contexts, or of {token, ...}. */
static void put_tokens(const struct index *index, json_t *tokens, const json_t *list)
{
    const json_t *item, *token;
    size_t i, j;
    json_array_foreach(list, i, item)
    {
        put_token(index, tokens, json_object_get(item, "token"));
        json_array_foreach(json_object_get(item, "tokens"), j, token)
            put_token(index, tokens, token);
    }
}

static void put_tokens_of_sheet(const struct index *index, json_t *tokens, const json_t *sheet)
{
    const json_t *interval;
    size_t i;
    put_tokens(index, tokens, json_object_get(sheet, "top"));
    put_tokens(index, tokens, json_object_get(sheet, "promotes"));
    put_tokens(index, tokens, json_object_get(sheet, "suppresses"));
    json_array_foreach(json_object_get(sheet, "intervals"), i, interval)
        put_tokens(index, tokens, json_object_get(interval, "samples"));
}

static json_t *entry_json(const struct index *index, uint32_t f, json_t *tokens)
{
    const struct index_entry *e = &index->entry[f];
    json_t *token = json_integer(e->token);
    put_token(index, tokens, token);
    return json_pack("{s:I, s:I, s:f, s:f, s:o}", "feature", (json_int_t)f, "rows",
                     (json_int_t)e->rows, "largest", (double)e->largest, "mean", (double)e->mean,
                     "token", token);
}

static json_t *densities_json(const struct index *index)
{
    uint64_t bins[DENSITY_BINS] = {0};
    json_t *list = json_array();
    for (uint32_t f = 0; f < index->facts.features; f++) {
        if (!index->entry[f].rows) continue;
        double share = (double)index->entry[f].rows / (double)index->facts.kept_rows;
        int bin = (int)floor((log10(share) - DENSITY_FROM) * 4);
        bins[bin < 0 ? 0 : bin < DENSITY_BINS ? bin : DENSITY_BINS - 1]++;
    }
    for (int i = 0; i < DENSITY_BINS; i++)
        json_array_append_new(list, json_integer((json_int_t)bins[i]));
    return list;
}

static int add_feature(const struct index *index, const struct labels *labels, uint32_t f,
                       json_t *data)
{
    json_t *tokens = json_object_get(data, "tokens"), *sheet;
    char key[16];
    snprintf(key, sizeof key, "%" PRIu32, f);
    if (json_object_get(json_object_get(data, "sheets"), key)) return ERR_OK; /* named twice */
    int result = f < index->facts.features
                     ? index_sheet(index, f, &sheet)
                     : err_set(ERR_USAGE, "%s has no feature %" PRIu32 "; HINT: it has 0 to %u",
                               index->folder, f, index->facts.features - 1);
    if (result != ERR_OK) return result;
    put_tokens_of_sheet(index, tokens, sheet);
    json_array_append_new(json_object_get(data, "entries"), entry_json(index, f, tokens));
    json_put(json_object_get(data, "sheets"), key, sheet);
    const char *label = labels_of(labels, f);
    if (label)
        json_array_append_new(
            json_object_get(data, "labels"),
            json_pack("[I, o]", (json_int_t)f, words_text(label, strlen(label), WORDS_REPLACED)));
    return ERR_OK;
}

/* ---- the file ---- */

/* JSON inside of HTML: whatever is written in it ends no element. */
static void print_data(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '<')
            fputs("\\u003c", out);
        else
            putc(*text, out);
    }
}

/* The page up to `line`, which is left out; where it goes on. */
static const char *print_until(FILE *out, const char *page, const char *line)
{
    const char *at = strstr(page, line);
    if (!at) return page;
    fwrite(page, 1, (size_t)(at - page), out);
    return at + strlen(line);
}

static void print_page(FILE *out, const char *data, const char *nonce)
{
    const struct page_file *files = page_files();
    const char *at = print_until(out, files[0].text, policy_open);
    fprintf(out, "content=\"default-src 'none'; style-src 'nonce-%s'; script-src 'nonce-%s';",
            nonce, nonce);
    at = print_until(out, at, style_line);
    fprintf(out, "<style nonce=\"%s\">\n%s</style>", nonce, files[1].text);
    at = print_until(out, at, script_line);
    fputs("<script type=\"application/json\" id=\"data\">", out);
    print_data(out, data);
    fprintf(out, "</script>\n");
    at = print_until(out, at, "</body>");
    fprintf(out, "<script nonce=\"%s\">\n%s</script>\n</body>%s", nonce, files[2].text, at);
}

static int write_page(const json_t *data, const char *path)
{
    char nonce[TOKEN_BYTES], *text = NULL;
    size_t bytes = 0;
    int result = token_make(nonce);
    if (result != ERR_OK) return result;
    char *data_text = json_dumps(data, JSON_COMPACT | JSON_REAL_PRECISION(7));
    FILE *out = data_text ? open_memstream(&text, &bytes) : NULL;
    if (out) print_page(out, data_text, nonce);
    free(data_text);
    result = out && fclose(out) == 0 ? ERR_OK : err_set(ERR_NOMEM, "no memory for a page");
    if (result == ERR_OK) result = file_create(path, text, bytes);
    free(text);
    return result;
}

int single_write(const struct index *index, const struct labels *labels, const uint32_t *feature,
                 size_t count, const char *path)
{
    json_t *data =
        json_pack("{s:o, s:[], s:{}, s:{}, s:[], s:o}", "facts", index_facts_json(&index->facts),
                  "entries", "sheets", "tokens", "labels", "densities", densities_json(index));
    int result = data ? ERR_OK : err_set(ERR_NOMEM, "no memory for a page");
    for (size_t i = 0; i < count && result == ERR_OK; i++)
        result = add_feature(index, labels, feature[i], data);
    if (result == ERR_OK) result = write_page(data, path);
    json_decref(data);
    return result;
}
