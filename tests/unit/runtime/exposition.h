/* A strict check of Prometheus's text format 0.0.4 with the rules of `promtool check metrics`. */
#ifndef SLUICE_TESTS_EXPOSITION_H
#define SLUICE_TESTS_EXPOSITION_H

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char exposition_why[256];

static int exposition_wrong(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int exposition_wrong(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(exposition_why, sizeof exposition_why, fmt, args);
    va_end(args);
    return 0;
}

/* NAME[{label="value",...}] VALUE ; the le label's value into *le (-1: there is none). */
static int exposition_sample(const char *line, char *name, double *le, double *value)
{
    size_t n = strspn(line, "abcdefghijklmnopqrstuvwxyz_0123456789");
    if (n == 0 || n > 100 || isdigit((unsigned char)line[0])) return 0;
    memcpy(name, line, n);
    name[n] = '\0';
    *le = -1;
    const char *p = line + n;
    if (*p == '{') {
        p++;
        while (*p != '}') {
            size_t key = strspn(p, "abcdefghijklmnopqrstuvwxyz_");
            if (key == 0 || p[key] != '=' || p[key + 1] != '"') return 0;
            const char *text = p + key + 2, *end = text;
            while (*end && *end != '"') end += *end == '\\' ? 2 : 1;
            if (*end != '"') return 0;
            if (key == 2 && strncmp(p, "le", 2) == 0)
                *le = strncmp(text, "+Inf", 4) == 0 ? HUGE_VAL : strtod(text, NULL);
            p = end + 1;
            if (*p == ',') p++;
        }
        p++;
    }
    if (*p != ' ') return 0;
    char *end;
    *value = strtod(p + 1, &end);
    return end != p + 1 && *end == '\0';
}

struct exposition {
    char name[128], kind[16];
    double le, bucket, count;
    int helped;
};

static int exposition_line(struct exposition *e, const char *line)
{
    char name[128], kind[16], sample[128];
    double le, value;
    if (strncmp(line, "# HELP ", 7) == 0) {
        if (sscanf(line + 7, "%127s", e->name) != 1 || !line[7 + strlen(e->name)])
            return exposition_wrong("bad HELP: %s", line);
        e->helped = 1;
        return 1;
    }
    if (strncmp(line, "# TYPE ", 7) == 0) {
        if (sscanf(line + 7, "%127s %15s", name, kind) != 2 || strcmp(name, e->name) != 0 ||
            !e->helped)
            return exposition_wrong("TYPE without its HELP: %s", line);
        snprintf(e->kind, sizeof e->kind, "%s", kind);
        size_t n = strlen(name);
        int total = n > 6 && strcmp(name + n - 6, "_total") == 0;
        if (total != (strcmp(kind, "counter") == 0))
            return exposition_wrong("_total is for counters: %s", name);
        e->helped = 0;
        e->le = e->bucket = -HUGE_VAL;
        return 1;
    }
    if (!exposition_sample(line, sample, &le, &value))
        return exposition_wrong("bad line: %s", line);
    size_t n = strlen(e->name);
    if (strncmp(sample, e->name, n) != 0) return exposition_wrong("sample without TYPE: %s", line);
    int histogram = strcmp(e->kind, "histogram") == 0;
    if (!histogram) return sample[n] == '\0' ? 1 : exposition_wrong("bad name: %s", line);
    if (strcmp(sample + n, "_bucket") == 0) {
        if (le <= e->le || value < e->bucket)
            return exposition_wrong("buckets do not ascend: %s", line);
        e->le = le;
        e->bucket = value;
        return 1;
    }
    if (strcmp(sample + n, "_sum") == 0) return 1;
    if (strcmp(sample + n, "_count") != 0) return exposition_wrong("bad name: %s", line);
    if (e->le != HUGE_VAL || e->bucket != value)
        return exposition_wrong("+Inf is not _count: %s", line);
    e->le = e->bucket = -HUGE_VAL;
    return 1;
}

/* 1: the text is right; 0: exposition_why tells. */
static int exposition_ok(const char *text)
{
    struct exposition e = {.le = -HUGE_VAL};
    char line[1024];
    while (*text) {
        size_t n = strcspn(text, "\n");
        if (text[n] != '\n' || n >= sizeof line) return exposition_wrong("no end of line");
        memcpy(line, text, n);
        line[n] = '\0';
        if (!exposition_line(&e, line)) return 0;
        text += n + 1;
    }
    return 1;
}

#endif
