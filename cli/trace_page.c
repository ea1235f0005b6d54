/* A prompt's tokens as one HTML file. Its data is text alone: nothing of the prompt is ever markup. */
#include "cli/trace.h"

#include "base/err.h"
#include "cli/shown.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Nothing is fetched: the policy forbids it, and there is nothing to fetch. */
static const char head[] =
    "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
    "'unsafe-inline'; script-src 'unsafe-inline'\">\n"
    "<title>Features of a prompt</title>\n"
    "<style>\n"
    ":root{color-scheme:light dark;--ink:#1b1b1b;--paper:#fff;--soft:#666;--heat:255,98,0}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#eee;--paper:#161616;--soft:#aaa}}\n"
    "body{font:16px/1.7 system-ui,sans-serif;color:var(--ink);background:var(--paper);"
    "max-width:60rem;margin:1.5rem auto;padding:0 1rem}\n"
    "h1{font-size:1.2rem}p{color:var(--soft)}\n"
    "#text{white-space:pre-wrap;overflow-wrap:anywhere}\n"
    "#text span{border-radius:3px;cursor:pointer}#text span:focus{outline:2px solid}\n"
    "table{border-collapse:collapse;margin-top:1rem}td,th{padding:.1rem .8rem .1rem 0;"
    "text-align:right}td:last-child{text-align:left}button{font:inherit}\n"
    "</style>\n";

static const char script[] =
    "<script>\n"
    "const spans=[...document.querySelectorAll('#text "
    "span')],table=document.querySelector('tbody'),"
    "note=document.getElementById('note');\n"
    "const data=spans.map(s=>s.dataset.f?s.dataset.f.split(' ').map(p=>p.split(':').map(Number))"
    ":[]);\n"
    "const label=new Map([...document.querySelectorAll('#labels dt')].map(e=>[+e.textContent,"
    "e.nextElementSibling.textContent])),named=f=>label.has(f)?f+' ('+label.get(f)+')':''+f;\n"
    "function paint(value,most){spans.forEach((s,i)=>{const v=most>0?value(i)/most:0;"
    "s.style.background=v>0?'rgba(var(--heat),'+(0.12+0.68*Math.min(v,1))+')':''})}\n"
    "function all(){const v=data.map((d,i)=>spans[i].dataset.left?0:Math.max(0,...d.map(p=>p[1])"
    "));paint(i=>v[i],Math.max(...v));note.textContent='Coloured by the strongest feature. Choose "
    "a "
    "token, then a feature.'}\n"
    "function one(f){const "
    "v=data.map((d,i)=>spans[i].dataset.left?0:(d.find(p=>p[0]===f)||[0,0])[1]"
    ");paint(i=>v[i],"
    "Math.max(...v));note.textContent='Coloured by feature '+named(f)+'.'}\n"
    "function pick(i){table.replaceChildren(...data[i].map(([f,v])=>{const "
    "r=document.createElement("
    "'tr'),a=document.createElement('td'),b=document.createElement('td'),l=document.createElement('"
    "td'),c="
    "document.createElement('button');c.textContent=f;c.onclick=()=>one(f);a.append(c);b."
    "textContent=v.toPrecision(3);"
    "l.textContent=label.get(f)||'';r.append(a,b,l);return r}))}\n"
    "spans.forEach((s,i)=>{s.onclick=()=>pick(i);s.onkeydown=e=>{if(e.key==='Enter')pick(i)}});\n"
    "document.getElementById('all').onclick=all;all();\n"
    "</script>\n";

static void write_token(const struct trace *t, const struct firing *f, uint32_t row, FILE *out)
{
    const struct pairs *p = &f->pairs;
    char text[1024];
    size_t n = llama_runner_text(llama_player_runner(t->player), f->tokens[row], text, sizeof text);
    if (n >= sizeof text) n = sizeof text - 1;
    fprintf(out, "<span tabindex=\"0\"%s data-f=\"", f->left_out[row] ? " data-left=\"1\"" : "");
    for (uint64_t i = p->start[row]; i < p->start[row + 1]; i++)
        fprintf(out, "%s%" PRIu32 ":%.5g", i > p->start[row] ? " " : "", p->feature[i],
                (double)p->value[i]);
    fputs("\">", out);
    shown_html(out, text, n);
    fputs("</span>", out);
}

/* For the script: the labels of features that fire here. */
static void write_labels(const struct trace *t, const struct firing *f, FILE *out)
{
    fputs("<dl id=\"labels\" hidden>", out);
    for (size_t i = 0; i < t->labels.count; i++) {
        const struct label *label = &t->labels.label[i];
        uint64_t at = 0;
        while (at < f->pairs.count && f->pairs.feature[at] != label->feature) at++;
        if (at == f->pairs.count) continue;
        fprintf(out, "<dt>%" PRIu32 "<dd>", label->feature);
        shown_html(out, label->text, strlen(label->text));
    }
    fputs("</dl>\n", out);
}

static void write_page(const struct trace *t, const struct firing *f, FILE *out)
{
    fputs(head, out);
    fputs("<h1>", out);
    shown_html(out, t->subject.name, strlen(t->subject.name));
    fputs(", ", out);
    shown_html(out, t->subject.hook[0], strlen(t->subject.hook[0]));
    fputs("</h1>\n<p id=\"note\"></p>\n<p><button id=\"all\">all features</button></p>\n<div "
          "id=\"text\">",
          out);
    for (uint32_t row = 0; row < f->count; row++) write_token(t, f, row, out);
    fputs("</div>\n<table><thead><tr><th>feature<th>value<th></thead><tbody></tbody></table>\n",
          out);
    write_labels(t, f, out);
    fputs(script, out);
}

int trace_write_html(const struct trace *t, const struct firing *f, const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600); /* it shows user text */
    FILE *out = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (!out && errno == EEXIST)
        return err_set(ERR_USAGE, "--html %s: it is there already; HINT: another name", path);
    if (!out) return err_set(ERR_IO, "cannot write %s: %s", path, strerror(errno));
    write_page(t, f, out);
    int failed = ferror(out) != 0;
    if (fclose(out) != 0) failed = 1;
    if (!failed) return ERR_OK;
    int result =
        err_set(errno == ENOSPC ? ERR_NOSPC : ERR_IO, "cannot write %s: %s", path, strerror(errno));
    unlink(path);
    return result;
}
