/* What is no text is refused by what it is; what is text is not. Other encodings of text. */
#include "tests/unit/engine/cut.h"

struct sample {
    const char *bytes;
    size_t size;
    const char *what;
};

#define SAMPLE(bytes, what)                                                                        \
    {                                                                                              \
        bytes, sizeof(bytes) - 1, what                                                             \
    }

static void what_is_no_text_is_refused_by_name(void **state)
{
    (void)state;
    static const struct sample samples[] = {
        SAMPLE("PAR1\x15\0\x15\x10PAR1", "a Parquet file"),
        SAMPLE("ARROW1\0\0\xff\xff\xff\xff", "an Arrow (Feather) file"),
        SAMPLE("\xff\xff\xff\xff\x10\x02\0\0", "an Arrow stream"),
        SAMPLE("FEA1\0\0\0\0", "a Feather file"),
        SAMPLE("GGUF\x03\0\0\0", "a GGUF model"),
        SAMPLE("\x40\0\0\0\0\0\0\0{\"__metadata__\":{}}", "a safetensors file"),
        SAMPLE("\x93NUMPY\x01\0\x76\0{'descr'", "a NumPy array"),
        SAMPLE("SQLite format 3\0\x10\0", "a SQLite database"),
        SAMPLE("%PDF-1.4\nall of it ASCII\n", "a PDF"),
        SAMPLE("%!PS-Adobe-3.0\n", "a PostScript file"),
        SAMPLE("{\\rtf1\\ansi text}", "an RTF document"),
        SAMPLE("PK\3\4\x14\0\0\0\x08\0a.txt", "a zip archive"),
        SAMPLE("PK\3\4\x14\0\0\0\x08\0word/document.xml", "a Word document"),
        SAMPLE("PK\3\4\0\0\0\0\0\0archive/data.pkl", "a Torch checkpoint"),
        SAMPLE("PK\3\4\0\0\0\0\0\0arr_0.npy", "a NumPy archive"),
        SAMPLE("\x80\x04\x95\x10\0\0\0", "a Python pickle"),
        SAMPLE("\x89PNG\r\n\x1a\n", "a PNG image"),
        SAMPLE("\xff\xd8\xff\xe0\0\x10JFIF", "a JPEG image"),
        SAMPLE("GIF89a\1\0\1\0", "a GIF image"),
        SAMPLE("7z\xbc\xaf\x27\x1c\0", "a 7-Zip archive"),
        SAMPLE("\x04\x22\x4d\x18\x64\x40", "an LZ4 file"),
        SAMPLE("\x1f\x8b\x08\0\0\0\0\0", "gzip data within compressed data"),
        SAMPLE("\x28\xb5\x2f\xfd\x04\0", "zstd data within compressed data"),
        SAMPLE("\x7f"
               "ELF\2\1\1\0",
               "a program"),
        SAMPLE("\x89HDF\r\n\x1a\n", "an HDF5 file"),
        SAMPLE("WARC/1.0\r\nWARC-Type: response\r\n", "a web archive"),
        SAMPLE("version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 3\n", "Git LFS"),
        SAMPLE("/annex/objects/MD5E-s3--12\n", "git-annex"),
        SAMPLE("<!DOCTYPE html>\n<html></html>\n", "HTML"),
        SAMPLE("\n <HTML lang=\"en\">\n", "HTML"),
        SAMPLE("<!-- saved from url -->\n<html>\n", "HTML"),
        SAMPLE("<?xml version=\"1.0\"?>\n<Error/>\n", "XML"),
        SAMPLE("<mediawiki xmlns=\"\">\n", "XML"),
        SAMPLE("404: Not Found", "a server's error message"),
        SAMPLE("Entry not found\n", "a server's error message"),
        SAMPLE("h\0e\0l\0l\0o\0 \0w\0", "UTF-16 without a byte order mark"),
        SAMPLE("\0h\0e\0l\0l\0o\0 \0w", "UTF-16 without a byte order mark"),
        SAMPLE("\0\0\0\0\0\0\0\0", "binary data"),
        SAMPLE("a few\x01\x02\x03\x04", "binary data"),
        SAMPLE("\xde\xad\xbe\xef\0\x01\x02\x99", "binary data"),
    };
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        expect_refused(&cut_options, samples[i].bytes, samples[i].size, samples[i].what);
        expect_refused(&cut_options, samples[i].bytes, samples[i].size, "HINT");
    }
    char tar[2048] = "a.txt";
    strcpy(tar + 257, "ustar");
    strcpy(tar + 512, "the text");
    expect_refused(&cut_options, tar, sizeof tar, "a tar archive");
    memset(tar + 257, 0, 5); /* tar of before 1988 */
    expect_refused(&cut_options, tar, sizeof tar, "binary data");
}

static void text_that_only_begins_like_it_is_text(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "GGUF is a format of models.\n",
        "PAR1 is a gene.\n",
        "PK and more\n",
        "ORCHESTRA\n",
        "GIF89a, a format of pictures\n",
        "RIFF and the WAVE\n",
        "version 2 of the text\n",
        "<p>A paragraph</p>\n",
        "<!-- a note --># Title\n",
        "<?php echo 1; ?>\n",
        "#!/bin/sh\n",
        "404: Not Found is what a server says.\n",
        "a\x1b[1mbold\x1b[0m line, a form feed\f and a bell\a\n",
        "%PD\n",
        "one \xe2\x82\xac two\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char expected[200];
        snprintf(expected, sizeof expected, "%s|", texts[i]);
        expect_cut(texts[i], expected);
    }
    expect_bytes(&cut_options, "a text with one \0 in it, as it is", 33, "a text with one |");
    expect_cut("latin-1: caf\xe9, and so on and on for a while\n", "!e");
}

/* Text in an old tar, whose header has no "ustar" and few bytes beside the text. */
static void a_tar_without_its_mark_is_known(void **state)
{
    (void)state;
    enum { SIZE = 20000 };
    static char tar[SIZE];
    unsigned sum = 8 * ' ';
    memset(tar + 512, 'a', SIZE - 512);
    strcpy(tar, "data/a.txt");
    strcpy(tar + 100, "0000644");
    strcpy(tar + 124, "00000046000");
    for (int i = 0; i < 512; i++) sum += (unsigned char)tar[i];
    sprintf(tar + 148, "%06o", sum);
    tar[155] = ' ';
    expect_refused(&cut_options, tar, SIZE, "a tar archive");
    tar[0] = 'e';
    expect_refused(&cut_options, tar, SIZE, "binary data");
}

/* "{\"text\": \"aé€😀\"}\n" in UTF-16, by hand. */
static void utf16_and_utf32_with_a_mark_are_converted(void **state)
{
    (void)state;
    static const char little[] = "\xff\xfe"
                                 "a\0\xe9\0\xac\x20\x3d\xd8\x00\xde\n\0";
    static const char big[] = "\xfe\xff\0a\0\xe9\x20\xac\xd8\x3d\xde\x00\0\n";
    static const char *const expected = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\n|";
    expect_bytes(&cut_options, little, sizeof little - 1, expected);
    expect_bytes(&cut_options, big, sizeof big - 1, expected);
    static const char little32[] = "\xff\xfe\0\0a\0\0\0\x00\xf6\x01\0\n\0\0\0";
    static const char big32[] = "\0\0\xfe\xff\0\0\0a\0\x01\xf6\x00\0\0\0\n";
    expect_bytes(&cut_options, little32, sizeof little32 - 1, "a\xf0\x9f\x98\x80\n|");
    expect_bytes(&cut_options, big32, sizeof big32 - 1, "a\xf0\x9f\x98\x80\n|");
    char wide[200] = "\xff\xfe";
    const char *json = "{\"text\": \"one\"}\n{\"text\": \"two\"}\n";
    for (size_t i = 0; json[i]; i++) wide[2 + 2 * i] = json[i];
    expect_bytes(&cut_options, wide, 2 + 2 * strlen(json), "one|two|");
    expect_bytes(&cut_options, "\xff\xfe", 2, "");
}

static void what_utf16_cannot_be_is_told(void **state)
{
    (void)state;
    expect_bytes(&cut_options,
                 "\xff\xfe"
                 "a\0\x3d\xd8"
                 "b\0",
                 8,
                 "~a\xef\xbf\xbd"
                 "b|");
    expect_bytes(&cut_options,
                 "\xff\xfe"
                 "a\0\x00\xde",
                 6, "~a\xef\xbf\xbd|");
    expect_bytes(&cut_options, "\xff\xfe\0\0a\0\0\0\0\0\x11\0", 12, "!e");
    char *got = cut_stream(&cut_options,
                           "\xff\xfe"
                           "a\0b",
                           5, 4096);
    assert_non_null(strstr(got, "ERROR"));
    assert_non_null(strstr(got, "inside a character"));
    free(got);
}

static void a_mark_of_utf8_is_dropped(void **state)
{
    (void)state;
    expect_cut("\xef\xbb\xbfone\n", "one\n|");
    expect_cut("\xef\xbb\xbf", "");
    expect_cut("\xef\xbb", "!e");
}

static int strays(const char *text, const char *separator)
{
    struct cut_stream s = {text, strlen(text), 0, 4096};
    struct documents_options o = cut_options;
    struct documents *d;
    int stray;
    o.separator = separator;
    assert_int_equal(documents_open(&o, cut_read, &s, &d), ERR_OK);
    assert_int_equal(documents_look(d, &stray), ERR_OK);
    documents_close(d);
    return stray;
}

static void separators_are_asked_for(void **state)
{
    (void)state;
    static const char tex[] = "\\section{A}\nalpha\n%\nbeta\n%\n";
    struct documents_options o = cut_options;
    expect_cut(tex, "\\section{A}\nalpha\n%\nbeta\n%\n|");
    assert_true(strays(tex, NULL));
    assert_false(strays(tex, "%"));
    assert_false(strays("one %\n%\n", NULL));
    o.separator = "<|endoftext|>";
    static const char marked[] = "one\n<|endoftext|>\r\ntwo <|endoftext|>\n<|endoftext|>\n";
    expect_bytes(&o, marked, strlen(marked), "one\n|two <|endoftext|>\n|");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_text_is_refused_by_name),
        cmocka_unit_test(text_that_only_begins_like_it_is_text),
        cmocka_unit_test(a_tar_without_its_mark_is_known),
        cmocka_unit_test(utf16_and_utf32_with_a_mark_are_converted),
        cmocka_unit_test(what_utf16_cannot_be_is_told),
        cmocka_unit_test(a_mark_of_utf8_is_dropped),
        cmocka_unit_test(separators_are_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
