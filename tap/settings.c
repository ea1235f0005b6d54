#include "tap/settings.h"

#include "base/err.h"
#include "proto/lines.h"
#include "proto/name.h"
#include "proto/ring.h"
#include "proto/tap_words.h"

#include <ctype.h>
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void settings_init(struct tap_settings *s)
{
    memset(s, 0, sizeof *s);
    s->share = 1;
}

/* ---- values ---- */

/* strtod() follows the program's locale, in which 0.1 may end at the point. */
static int read_real(const char *name, const char *value, double low, double high, double *out)
{
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    char *end = NULL;
    if (!plain) return err_set(ERR_NOMEM, "no memory to read a number");
    double x = strtod_l(value, &end, plain);
    freelocale(plain);
    if (end == value || *end || !isfinite(x) || x < low || x > high)
        return err_set(ERR_USAGE, "%s: '%.40s' is not a number from %g to %g", name, value, low,
                       high);
    *out = x;
    return ERR_OK;
}

static int read_bytes(const char *name, const char *value, uint64_t *out)
{
    char *end = NULL;
    errno = 0;
    unsigned long long x = strtoull(value, &end, 10);
    if (!isdigit((unsigned char)value[0]) || *end || errno || x > UINT64_C(1) << 40)
        return err_set(ERR_USAGE, "%s: '%.40s' is not a number of bytes up to 1 TiB", name, value);
    *out = x;
    return ERR_OK;
}

/* One of two words. */
static int read_word(const char *name, const char *value, const char *no, const char *yes, int *out)
{
    if (strcmp(value, no) != 0 && strcmp(value, yes) != 0)
        return err_set(ERR_USAGE, "%s: '%.40s' is neither %s nor %s", name, value, yes, no);
    *out = strcmp(value, yes) == 0;
    return ERR_OK;
}

/* client/ refuses others when a ring is made; here nothing is changed by them. */
static int read_stream(const char *value, char *out)
{
    if (value[0] && (!message_name_ok(value) || value[0] == '.'))
        return err_set(ERR_USAGE,
                       "stream: '%.80s' is no name: 1 to 63 letters, digits, dots, dashes and "
                       "underscores, no dot at the front",
                       value);
    memcpy(out, value, strlen(value) + 1);
    return ERR_OK;
}

static int take_hook(struct tap_settings *s, const char *name, size_t length)
{
    if (length < 1 || length >= sizeof s->hooks[0] || memchr(name, ' ', length))
        return err_set(ERR_USAGE, "hooks: '%.*s' is no hook's name", (int)length, name);
    if (s->hooks_count == ROW_MAX_HOOKS)
        return err_set(ERR_USAGE, "hooks: more than %d", ROW_MAX_HOOKS);
    memcpy(s->hooks[s->hooks_count], name, length);
    s->hooks[s->hooks_count++][length] = '\0';
    return ERR_OK;
}

static int read_hooks(const char *value, struct tap_settings *s)
{
    s->hooks_count = 0;
    if (!value[0]) return ERR_OK;
    for (const char *at = value;; at++) {
        size_t length = strcspn(at, ",");
        int result = take_hook(s, at, length);
        at += length;
        if (result != ERR_OK || !*at) return result;
    }
}

static int read_folder(const char *value, char *out, size_t bytes)
{
    if ((value[0] && value[0] != '/') || strlen(value) >= bytes)
        return err_set(ERR_USAGE,
                       "folder: '%.80s' is no folder's path from the root, below %zu bytes", value,
                       bytes);
    memcpy(out, value, strlen(value) + 1);
    return ERR_OK;
}

static int read_marker(const char *value, char *out, size_t bytes)
{
    if (strlen(value) >= bytes)
        return err_set(ERR_USAGE, "exclude: a text of at most %zu bytes", bytes - 1);
    if (!lines_can_tell(value))
        return err_set(ERR_USAGE, "exclude: a text without control characters");
    memcpy(out, value, strlen(value) + 1);
    return ERR_OK;
}

static int read_rate(const char *value, double *out)
{
    double x = 0;
    int result = read_real(TAP_ROWS_PER_SECOND, value, 0, RING_HIGHEST_RATE, &x);
    if (result != ERR_OK) return result;
    if (x > 0 && x < RING_LOWEST_RATE)
        return err_set(ERR_USAGE, "rows_per_second: %g is below 0.001; HINT: `sluice tap off`", x);
    *out = x;
    return ERR_OK;
}

/* ---- settings ---- */

static int take(struct tap_settings *s, const char *name, const char *value)
{
    if (strcmp(name, TAP_ON) == 0) return read_word(name, value, "no", "yes", &s->on);
    if (strcmp(name, TAP_STREAM) == 0) return read_stream(value, s->stream);
    if (strcmp(name, TAP_HOOKS) == 0) return read_hooks(value, s);
    if (strcmp(name, TAP_SHARE) == 0) return read_real(name, value, 1e-9, 1, &s->share);
    if (strcmp(name, TAP_ROWS_PER_SECOND) == 0) return read_rate(value, &s->rows_per_second);
    if (strcmp(name, TAP_BYTES_PER_SECOND) == 0)
        return read_bytes(name, value, &s->bytes_per_second);
    if (strcmp(name, TAP_FOLDER) == 0) return read_folder(value, s->folder, sizeof s->folder);
    if (strcmp(name, TAP_RING_BYTES) == 0) return read_bytes(name, value, &s->ring_bytes);
    if (strcmp(name, TAP_DTYPE) == 0) return read_word(name, value, "bf16", "f32", &s->is_f32);
    if (strcmp(name, TAP_EXCLUDE) == 0) return read_marker(value, s->exclude, sizeof s->exclude);
    return err_set(ERR_NOTFOUND, "this tap knows no setting '%.40s'", name);
}

int settings_take(struct tap_settings *s, const char *name, const char *value)
{
    struct tap_settings changed = *s;
    int result = take(&changed, name, value);
    if (result == ERR_OK) *s = changed;
    return result;
}

int settings_check(const struct tap_settings *s)
{
    if (s->on && !s->stream[0])
        return err_set(ERR_USAGE, "no stream is named; HINT: sluice tap set --stream NAME --hooks "
                                  "resid_post.15, or the pipeline's FILE");
    if (s->on && s->hooks_count == 0)
        return err_set(ERR_USAGE, "no hook is named; HINT: sluice tap set --hooks resid_post.15");
    return ERR_OK;
}
