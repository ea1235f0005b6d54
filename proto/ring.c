#include "proto/ring.h"

#include "base/err.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const char *const ring_count_labels[RING_COUNTS] = {
    [RING_OFFERED] = "offered",   [RING_WRITTEN] = "written",     [RING_SHED] = "shed",
    [RING_LIMITED] = "limited",   [RING_ABANDONED] = "abandoned", [RING_AMBIGUOUS] = "ambiguous",
    [RING_REUSED] = "reused",     [RING_NO_TOKEN] = "no_token",   [RING_STEERED] = "steered",
    [RING_EXCLUDED] = "excluded", [RING_SEQUENCES] = "begun",     [RING_NOT_TAKEN] = "not_taken",
};

static int ends(const char *text, size_t bytes)
{
    return memchr(text, '\0', bytes) != NULL;
}

static int check_hooks(const struct ring_facts *f)
{
    uint64_t width = 0;
    if (f->hooks < 1 || f->hooks > ROW_MAX_HOOKS) return 0;
    for (uint32_t h = 0; h < f->hooks; h++) {
        const struct ring_hook *hook = &f->hook[h];
        if (!ends(hook->name, sizeof hook->name) || !hook->name[0]) return 0;
        if (hook->width < 1 || hook->width > ROW_MAX_WIDTH || hook->reserved) return 0;
        width += hook->width;
    }
    return width == f->width && width <= ROW_MAX_WIDTH;
}

static int check_texts(const struct ring_facts *f)
{
    return ends(f->program, sizeof f->program) && ends(f->stream, sizeof f->stream) &&
           ends(f->model, sizeof f->model) && ends(f->model_file, sizeof f->model_file) &&
           ends(f->precision, sizeof f->precision);
}

int ring_check(const struct ring_facts *f, uint64_t file_bytes)
{
    if (memcmp(f->magic, RING_MAGIC, sizeof f->magic) != 0)
        return err_set(ERR_FORMAT, "it is no ring of rows");
    if (f->version != RING_VERSION)
        return err_set(ERR_VERSION,
                       "it is a ring of version %u, and this build reads version %d; HINT: use a "
                       "libsluice and a sluice-capture of one release",
                       f->version, RING_VERSION);
    if (!check_texts(f) || !check_hooks(f))
        return err_set(ERR_FORMAT, "a ring whose hooks or names are damaged");
    if ((f->dtype != DTYPE_BF16 && f->dtype != DTYPE_F32) || f->records < 1 ||
        f->records > RING_MAX_RECORDS || (f->records & (f->records - 1)) ||
        f->header_bytes != sizeof(struct ring_header) ||
        f->record_bytes != ring_record_bytes(f->dtype, f->width))
        return err_set(ERR_FORMAT, "a ring whose sizes are damaged");
    if (ring_bytes(f) != file_bytes || file_bytes > RING_MAX_BYTES)
        return err_set(ERR_FORMAT, "a ring of %llu bytes in a file of %llu",
                       (unsigned long long)ring_bytes(f), (unsigned long long)file_bytes);
    return ERR_OK;
}

uint32_t ring_share(double share)
{
    if (!(share > 0 && share < 1)) return UINT32_MAX;
    return (uint32_t)fmax(ldexp(share, 32), 1);
}

double ring_rate_of_bytes(uint32_t width, uint32_t dtype, uint64_t bytes_per_second)
{
    return (double)bytes_per_second / ((double)width * ring_value_bytes(dtype));
}

uint64_t ring_interval(const struct ring_facts *f, double rows_per_second,
                       uint64_t bytes_per_second)
{
    double rows = rows_per_second;
    double of_bytes = ring_rate_of_bytes(f->width, f->dtype, bytes_per_second);
    if (of_bytes > 0 && !(rows > 0 && rows < of_bytes)) rows = of_bytes;
    return rows > 0 ? (uint64_t)fmin(RING_UNITS_PER_SECOND / rows, 0x1p62) : 0;
}

double ring_rate(uint64_t interval)
{
    return interval ? RING_UNITS_PER_SECOND / (double)interval : 0;
}

int ring_shed_is_told(const struct ring_header *ring)
{
    return atomic_load(&ring->reader.verdict) == RING_REFUSED ||
           atomic_load(&ring->host.count[RING_SHED]) <= atomic_load(&ring->reader.told_shed);
}
