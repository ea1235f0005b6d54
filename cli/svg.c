#include "cli/svg.h"

static const char style[] =
    "text{font-family:system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;"
    "font-size:13px}\n"
    ".paper{fill:#fff}.ink{fill:#1f2328}.soft{fill:#59636e}.title{fill:#1f2328;font-size:16px;"
    "font-weight:600}\n"
    ".grid{stroke:#e3e8ed}.axis{stroke:#818b98}\n"
    ".curve{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}\n"
    ".envelope{fill:none;stroke:#818b98;stroke-opacity:.35;stroke-width:9;stroke-linejoin:round;"
    "stroke-linecap:round}\n"
    ".mark{stroke:#fff;stroke-width:1.2}\n"
    "@media (prefers-color-scheme:dark){\n"
    ".paper{fill:#0d1117}.ink,.title{fill:#f0f6fc}.soft{fill:#a9b3be}\n"
    ".grid{stroke:#262c36}.axis{stroke:#6e7681}.mark{stroke:#0d1117}\n"
    "}\n";

static void escaped(FILE *out, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '&':
            fputs("&amp;", out);
            break;
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        default:
            fputc(*text, out);
        }
    }
}

static void element(FILE *out, const char *name, const char *id, const char *text)
{
    fprintf(out, "<%s%s%s%s>", name, id ? " id=\"" : "", id ? id : "", id ? "\"" : "");
    escaped(out, text);
    fprintf(out, "</%s>", name);
}

void svg_begin(FILE *out, int width, int height, const char *title, const char *description)
{
    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
            "height=\"%d\" role=\"img\" aria-labelledby=\"title description\">\n",
            width, height, width, height);
    element(out, "title", "title", title);
    element(out, "desc", "description", description);
    fprintf(out, "\n<style>%s</style>\n<rect class=\"paper\" width=\"%d\" height=\"%d\"/>\n", style,
            width, height);
}

void svg_end(FILE *out)
{
    fputs("</svg>\n", out);
}

void svg_line(FILE *out, double x1, double y1, double x2, double y2, const char *class)
{
    fprintf(out, "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", class,
            x1, y1, x2, y2);
}

/* End of a shape that is open, with its tip in it. */
static void close_shape(FILE *out, const char *name, const char *tip)
{
    if (!tip) {
        fputs("/>\n", out);
        return;
    }
    fputc('>', out);
    element(out, "title", NULL, tip);
    fprintf(out, "</%s>\n", name);
}

void svg_curve(FILE *out, const double *x, const double *y, size_t count, const char *class,
               const char *colour, const char *tip)
{
    fprintf(out, "<polyline class=\"%s\"", class ? class : "curve");
    if (colour) fprintf(out, " stroke=\"%s\"", colour);
    fputs(" points=\"", out);
    for (size_t i = 0; i < count; i++) fprintf(out, "%s%.1f,%.1f", i ? " " : "", x[i], y[i]);
    fputc('"', out);
    close_shape(out, "polyline", tip);
}

void svg_mark(FILE *out, int shape, double x, double y, const char *colour, const char *tip)
{
    static const double corners[SVG_SHAPES][4][2] = {
        /* three corners: the last one twice */
        [1] = {{-4, -4}, {4, -4}, {4, 4}, {-4, 4}},
        [2] = {{0, -5.5}, {5, 4}, {-5, 4}, {-5, 4}},
        [3] = {{0, -6}, {6, 0}, {0, 6}, {-6, 0}},
    };
    shape %= SVG_SHAPES;
    if (shape == 0) {
        fprintf(out, "<circle class=\"mark\" fill=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"4.5\"", colour,
                x, y);
        close_shape(out, "circle", tip);
        return;
    }
    fprintf(out, "<polygon class=\"mark\" fill=\"%s\" points=\"", colour);
    for (int i = 0; i < 4; i++)
        fprintf(out, "%s%.1f,%.1f", i ? " " : "", x + corners[shape][i][0],
                y + corners[shape][i][1]);
    fputc('"', out);
    close_shape(out, "polygon", tip);
}

void svg_text(FILE *out, double x, double y, const char *class, const char *anchor,
              const char *text)
{
    fprintf(out, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", class, x, y,
            anchor);
    escaped(out, text);
    fputs("</text>\n", out);
}

void svg_clip_begin(FILE *out, const char *id, double x, double y, double width, double height)
{
    fprintf(out,
            "<clipPath id=\"%s\"><rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>"
            "</clipPath>\n<g clip-path=\"url(#%s)\">\n",
            id, x, y, width, height, id);
}

void svg_clip_end(FILE *out)
{
    fputs("</g>\n", out);
}
