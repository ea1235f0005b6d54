#include "engine/sniff.h"

#include "engine/utf8.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define HINT_PYTHON "convert it to JSON Lines: python3 -c 'import "
static const char to_jsonl[] = "convert it to JSON Lines, an object with the text in each line";
static const char unpack_it[] = "unpack it and give the files in it";
static const char repack[] =
    "unpack it, or compress it with gzip, zstd, bzip2 or xz, which are read as they are";
static const char parquet[] = HINT_PYTHON
    "pandas,sys; pandas.read_parquet(sys.argv[1]).to_json(sys.argv[2],orient=\"records\","
    "lines=True)' FILE.parquet FILE.jsonl";
static const char arrow[] = HINT_PYTHON
    "datasets,sys; datasets.Dataset.from_file(sys.argv[1]).to_json(sys.argv[2])' FILE.arrow "
    "FILE.jsonl";
static const char feather[] = HINT_PYTHON
    "pandas,sys; pandas.read_feather(sys.argv[1]).to_json(sys.argv[2],orient=\"records\","
    "lines=True)' FILE.feather FILE.jsonl";
static const char sqlite[] =
    "convert it to JSON Lines: sqlite3 FILE \"SELECT json_object('text', COLUMN) FROM TABLE\"";
static const char rows[] =
    "activations go to capture.files with capture.engine: files; token ids go into JSON Lines, "
    "with capture.tokens_field";
static const char a_model[] = "a model goes to stream.model";
static const char no_text[] = "leave it out of capture.corpus";
static const char pdf[] = "take the text out of it: pdftotext FILE.pdf FILE.txt";
static const char office[] = "take the text out of it: pandoc -t plain FILE -o FILE.txt";
static const char pickle[] = "load it with the program that wrote it and write JSON Lines";
static const char markup[] =
    "take the text out of it (html2text, trafilatura); where the markup itself is meant, put it "
    "into JSON Lines as the text";
static const char pointer[] = "fetch what it stands for: git lfs pull";
static const char annex[] = "fetch what it stands for: git annex get";
static const char again[] = "fetch it again and look at what the server says";
static const char utf16[] = "convert it: iconv -f UTF-16LE -t UTF-8 (or UTF-16BE)";
static const char dumps[] = "write it with json.dumps(), an object in each line";
static const char binary_hint[] = "a corpus is text: UTF-8, JSON or CSV";

/* A mark that a text could begin with as well ("GGUF is ...") counts only where bytes follow that
 * no text has. */
struct mark {
    size_t offset;
    const char *bytes;
    size_t size;
    const char *what, *hint;
    int is_text; /* of a format that may be plain ASCII: the mark is enough */
};

#define AT(offset, bytes, what, hint)                                                              \
    {                                                                                              \
        offset, bytes, sizeof(bytes) - 1, what, hint, 0                                            \
    }
#define TEXT(bytes, what, hint)                                                                    \
    {                                                                                              \
        0, bytes, sizeof(bytes) - 1, what, hint, 1                                                 \
    }

static const struct mark marks[] = {
    AT(257, "ustar", "a tar archive", unpack_it),
    AT(0, "PAR1", "a Parquet file", parquet),
    AT(0, "PARE", "an encrypted Parquet file", parquet),
    AT(0, "ARROW1", "an Arrow (Feather) file", feather),
    AT(0, "FEA1", "a Feather file", feather),
    AT(0, "\xff\xff\xff\xff", "an Arrow stream", arrow),
    AT(0, "ORC\x0a\x03", "an ORC file", to_jsonl),
    AT(0, "Obj\x01", "an Avro file", to_jsonl),
    AT(0, "\x89HDF\r\n", "an HDF5 file", to_jsonl),
    AT(0, "SQLite format 3\0", "a SQLite database", sqlite),
    AT(0, "GGUF", "a GGUF model", a_model),
    AT(0, "lmgg", "a GGML model", a_model),
    AT(0, "\x93NUMPY", "a NumPy array", rows),
    AT(0, "\x80\x02", "a Python pickle", pickle),
    AT(0, "\x80\x03", "a Python pickle", pickle),
    AT(0, "\x80\x04", "a Python pickle", pickle),
    AT(0, "\x80\x05", "a Python pickle", pickle),
    TEXT("(dp0\n", "a Python pickle", pickle),
    TEXT("(lp0\n", "a Python pickle", pickle),
    TEXT("%PDF-", "a PDF", pdf),
    TEXT("%!PS", "a PostScript file", pdf),
    TEXT("{\\rtf", "an RTF document", office),
    AT(0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a document of Word, Excel or PowerPoint", office),
    AT(0, "\x89PNG", "a PNG image", no_text),
    AT(0, "\xff\xd8\xff", "a JPEG image", no_text),
    AT(0, "GIF87a", "a GIF image", no_text),
    AT(0, "GIF89a", "a GIF image", no_text),
    AT(0, "II*\0", "a TIFF image", no_text),
    AT(0, "MM\0*", "a TIFF image", no_text),
    AT(8, "WEBP", "a WebP image", no_text),
    AT(8, "WAVE", "a sound", no_text),
    AT(0, "OggS", "a sound", no_text),
    AT(0, "fLaC", "a sound", no_text),
    AT(0, "ID3\x03", "a sound", no_text),
    AT(0, "ID3\x04", "a sound", no_text),
    AT(4, "ftyp", "a film or sound", no_text),
    AT(0, "\x1a\x45\xdf\xa3", "a film", no_text),
    AT(0,
       "\x7f"
       "ELF",
       "a program", no_text),
    AT(16, "\xde\xc0\xef\xbe", "an LMDB database", to_jsonl),
    AT(0, "7z\xbc\xaf\x27\x1c", "a 7-Zip archive", unpack_it),
    AT(0, "Rar!\x1a\x07", "a RAR archive", unpack_it),
    TEXT("!<arch>\n", "an ar archive", unpack_it),
    AT(0, "070701", "a cpio archive", unpack_it),
    AT(0, "\x1f\x8b", "gzip data within compressed data", repack),
    AT(0, "\x28\xb5\x2f\xfd", "zstd data within compressed data", repack),
    AT(0, "BZh91AY&SY", "bzip2 data within compressed data", repack),
    AT(0,
       "\xfd"
       "7zXZ",
       "xz data within compressed data", repack),
    AT(0, "\x04\x22\x4d\x18", "an LZ4 file", repack),
    AT(0, "\x02\x21\x4c\x18", "an LZ4 file", repack),
    AT(0, "LZIP\x01", "an lzip file", repack),
    AT(0, "\x89LZO", "an lzop file", repack),
    AT(0, "\x5d\x00\x00", "an .lzma file", repack),
    AT(0, "\x1f\x9d", "a file of compress (.Z)", repack),
    AT(0, "\xff\x06\x00\x00sNaPpY", "a Snappy file", repack),
    TEXT("WARC/1.", "a web archive (WARC)", to_jsonl),
    TEXT("version https://git-lfs.github.com/spec/", "a pointer of Git LFS", pointer),
    TEXT("version https://hawser.github.com/spec/", "a pointer of Git LFS", pointer),
    TEXT("/annex/objects/", "a pointer of git-annex", annex),
};

/* ---- binary ---- */

/* Bytes that text has not, NUL among them; tabs, line ends, form feeds and ESC are in order. */
static size_t controls(const char *text, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        n += c == 127 || (c < 32 && !(c >= 7 && c <= 13) && c != 27);
    }
    return n;
}

/* NUL in (nearly) every other byte, of either order. */
static int is_utf16(const char *text, size_t size)
{
    size_t nul[2] = {0, 0};
    for (size_t i = 0; i < size; i++) nul[i & 1] += text[i] == '\0';
    return size >= 4 && (5 * nul[0] >= 2 * size || 5 * nul[1] >= 2 * size) &&
           (nul[0] * 8 < nul[1] || nul[1] * 8 < nul[0]);
}

static int is_binary(const char *text, size_t size)
{
    size_t bad = controls(text, size);
    int valid = utf8_valid(text, utf8_boundary(text, size));
    return 10 * bad > size || (!valid && (50 * bad > size || memchr(text, '\0', size)));
}

/* Fields of fixed lengths are filled with NULs; UTF-32 has three in a row. */
static int has_nul_run(const char *text, size_t size)
{
    static const char run[32];
    return memmem(text, size, run, sizeof run) != NULL;
}

/* The checksum of a tar header, which old ones without "ustar" have as well. */
static int is_tar(const char *head, size_t size)
{
    unsigned long sum = 0, said = 0;
    size_t at = 148, digits = 0;
    if (size < 512 || !head[0]) return 0;
    for (size_t i = 0; i < 512; i++) sum += i >= 148 && i < 156 ? ' ' : (unsigned char)head[i];
    while (at < 156 && head[at] == ' ') at++;
    for (; at < 156 && head[at] >= '0' && head[at] <= '7'; at++, digits++)
        said = said * 8 + (unsigned long)(head[at] - '0');
    return digits > 0 && sum == said;
}

/* ---- marks ---- */

static int is_at(const struct mark *m, const char *head, size_t size, int like_text)
{
    return size >= m->offset + m->size && memcmp(head + m->offset, m->bytes, m->size) == 0 &&
           (m->is_text || !like_text);
}

static int holds(const char *head, size_t size, const char *text)
{
    return memmem(head, size, text, strlen(text)) != NULL;
}

/* What a zip is by the names in it. */
static const char *sniff_zip(const char *head, size_t size, const char **hint)
{
    static const struct {
        const char *name, *what, *hint;
    } inside[] = {
        {"word/", "a Word document", office},
        {"[Content_Types].xml", "a document of Word, Excel or PowerPoint", office},
        {"application/vnd.oasis.opendocument", "an OpenDocument file", office},
        {"application/epub+zip", "an EPUB book", office},
        {"/data.pkl", "a Torch checkpoint", pickle},
        {".npy", "a NumPy archive (.npz)", rows},
    };
    if (size < 4 || (memcmp(head, "PK\3\4", 4) != 0 && memcmp(head, "PK\5\6", 4) != 0)) return NULL;
    for (size_t i = 0; i < sizeof inside / sizeof inside[0]; i++) {
        if (!holds(head, size < 4096 ? size : 4096, inside[i].name)) continue;
        *hint = inside[i].hint;
        return inside[i].what;
    }
    *hint = unpack_it;
    return "a zip archive";
}

/* A header's length in eight bytes, then its JSON. */
static int is_safetensors(const char *head, size_t size)
{
    uint64_t length = 0;
    if (size < 10 || head[8] != '{') return 0;
    for (int i = 8; i-- > 0;) length = length << 8 | (unsigned char)head[i];
    return length >= 2 && length <= 100u << 20 && strchr("\"} ", head[9]) && head[9];
}

/* ---- markup ---- */

static size_t blanks(const char *text, size_t size)
{
    size_t n = 0;
    while (n < size && text[n] && strchr(" \t\r\n", text[n])) n++;
    return n;
}

static int begins_tag(const char *text, size_t size, const char *tag)
{
    size_t n = strlen(tag);
    return size > n && strncasecmp(text, tag, n) == 0 && text[n] && strchr(" \t\r\n>/", text[n]);
}

/* Saved pages and other XML; comments in front of the first tag are passed. */
static const char *sniff_markup(const char *text, size_t size)
{
    static const char *const html[] = {"<!doctype", "<html",  "<head",    "<body",
                                       "<meta",     "<title", "<frameset"};
    static const char *const xml[] = {"<?xml", "<mediawiki", "<svg", "<rss", "<feed", "<tei"};
    size_t at = blanks(text, size);
    while (size - at > 4 && memcmp(text + at, "<!--", 4) == 0) {
        const char *end = memmem(text + at, size - at, "-->", 3);
        if (!end) return NULL;
        at = (size_t)(end - text) + 3;
        at += blanks(text + at, size - at);
    }
    for (size_t i = 0; i < sizeof html / sizeof html[0]; i++)
        if (begins_tag(text + at, size - at, html[i])) return "a saved web page (HTML)";
    for (size_t i = 0; i < sizeof xml / sizeof xml[0]; i++)
        if (begins_tag(text + at, size - at, xml[i])) return "XML";
    return NULL;
}

/* What servers answer in place of a file, as all of the file. */
static int is_error_page(const char *text, size_t size)
{
    static const char *const answers[] = {"404: Not Found",  "404 page not found",
                                          "Entry not found", "Repository not found",
                                          "Access denied",   "Invalid username or password."};
    size_t at = blanks(text, size);
    while (size > at && blanks(text + size - 1, 1)) size--;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
        if (size - at == strlen(answers[i]) && memcmp(text + at, answers[i], size - at) == 0)
            return 1;
    return 0;
}

/* Lines that begin with {'key': , whatever the key. */
static size_t python_lines(const char *text, size_t size)
{
    size_t lines = 0;
    for (const char *at = text, *end = text + size; at < end;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t length = (size_t)((newline ? newline : end) - at);
        const char *quote =
            length > 3 && memcmp(at, "{'", 2) == 0 ? memchr(at + 2, '\'', length - 2) : NULL;
        lines += quote && quote + 1 < at + length && quote[1] == ':';
        at += length + 1;
    }
    return lines;
}

/* {'text': ...}: what print() makes of a dictionary. */
static int is_python(const char *text, size_t size, const char *text_field)
{
    char key[256];
    size_t at = blanks(text, size);
    if (at < size && text[at] == '[') {
        at++;
        at += blanks(text + at, size - at);
    }
    if (size - at < 2 || text[at] != '{' || text[at + 1] != '\'') return 0;
    if (python_lines(text + at, size - at) > 1) return 1;
    int n = snprintf(key, sizeof key, "'%.*s':", (int)strcspn(text_field, "."), text_field);
    size_t look = size - at < 4096 ? size - at : 4096;
    return n < (int)sizeof key && holds(text + at, look, key);
}

const char *sniff(const char *head, size_t size, const char *text_field, const char **hint)
{
    const char *what = sniff_zip(head, size, hint);
    if (what) return what;
    int like_text = controls(head, size) == 0 && utf8_valid(head, utf8_boundary(head, size));
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        if (!is_at(&marks[i], head, size, like_text)) continue;
        *hint = marks[i].hint;
        return marks[i].what;
    }
    *hint = unpack_it;
    if (is_tar(head, size)) return "a tar archive";
    *hint = a_model;
    if (is_safetensors(head, size)) return "a safetensors file";
    *hint = markup;
    if ((what = sniff_markup(head, size))) return what;
    *hint = again;
    if (is_error_page(head, size)) return "a server's error message";
    *hint = dumps;
    if (is_python(head, size, text_field)) return "a dictionary as Python prints it";
    *hint = utf16;
    if (is_utf16(head, size)) return "UTF-16 without a byte order mark";
    *hint = binary_hint;
    return is_binary(head, size) || has_nul_run(head, size) ? "binary data" : NULL;
}
