/* CSV: told from text that has commas, quotes, line ends within fields, records that do not fit. */
#include "tests/unit/engine/cut.h"

static struct documents_options named_as(enum documents_name name)
{
    struct documents_options o = cut_options;
    o.named = name;
    return o;
}

static void the_named_column_is_the_text(void **state)
{
    (void)state;
    expect_cut("id,text\n0,one\n1,two\n", "one|two|");
    expect_cut("text,id\none,0\ntwo,1", "one|two|");
    expect_cut("id\ttext\n0\tone, and\n1\ttwo\n", "one, and|two|");
    expect_cut("id;text\r\n0;one\r\n1;two\r\n", "one|two|");
    expect_cut("\xef\xbb\xbf\"id\", \"text\" ,x\n0,one,y\n", "one|");
    expect_cut("\xef\xbb\xbf\"id\",\"text\",x\n0,one,y\n", "one|");
    expect_cut("id, text\n0,one\n", "one|");
    expect_cut("id,text\n0,\n1,\"\"\n2, \n3,two\n", "two|");
    expect_cut("id,text\n", "");
    struct documents_options csv = named_as(NAMED_CSV);
    expect_bytes(&csv, "text\none\n\"two, three\"\n\nfour\n", 28, "one|two, three|four|");
}

static void fields_are_quoted_as_in_rfc_4180(void **state)
{
    (void)state;
    expect_cut("id,text\n0,\"a, b\"\n1,\"a \"\"b\"\"\"\n2,\"a\nb\r\nc\"\n3,\"\"\"\"\n",
               "a, b|a \"b\"|a\nb\r\nc|\"|");
    expect_cut("text,id\r\n\"one\",0\r\n\"two\r\n\",1\r\n", "one|two\r\n|");
    expect_cut("id,text\n0,5\" disk\n1,a \"b\" c\n", "5\" disk|a \"b\" c|");
    expect_cut("id,text\n0,\"a\"b\n1,\"a\" \n2,two\n", "!s!stwo|");
    expect_cut("id,text\n0,\"\xff\"\n1,\"\xed\xa0\x80\"\n", "!e~\xef\xbf\xbd|");
}

/* Programs that write tabs quote nothing. */
static void a_quote_among_tabs_joins_no_records(void **state)
{
    (void)state;
    expect_cut("id\ttext\n0\t\"one\n1\ttwo\n2\tthree\"\n", "\"one|two|three\"|");
    expect_cut("id\ttext\n0\t\"one\nmore\"\n1\t\"two\n\nmore\"\n",
               "one\nmore|two\n\nmore|"); /* meant */
    expect_cut("text\tid\n\"one\nmore\"\t0\ntwo\t1\n", "one\nmore|two|");
    expect_cut("id\ttext\n0\t\"one\" he said\n1\t\"a \"\"b\"\"\"\r\n2\t\"\n3\t\"c",
               "\"one\" he said|a \"b\"|\"|\"c|");
}

static void records_that_do_not_fit_are_bad(void **state)
{
    (void)state;
    expect_cut("id,text\n0,one\n1,hello, world\n2\n\n3,two\n", "one|!s!stwo|");
    static const char open[] = "id,text\n0,one\n1,\"two\n2,three\n";
    expect_refused(&cut_options, open, strlen(open), "a test, line 3: CSV with a quote");
}

static void a_missing_column_is_an_error_that_lists_them(void **state)
{
    (void)state;
    struct documents_options csv = named_as(NAMED_CSV), tsv = named_as(NAMED_TSV);
    static const char one[] = "id,\"body\",title\n0,a,b\n";
    expect_refused(&csv, one, strlen(one), "it has: id, body, title");
    static const char tabs[] = "id\tbody, all\n0\ta\n";
    expect_refused(&tsv, tabs, strlen(tabs), "it has: id, body, all");
    static const char sure[] =
        "id,body\n0,\"a, b\"\n1,\"c, d\"\n2,e\n"; /* its name is lost: stdin */
    expect_refused(&cut_options, sure, strlen(sure), "it has: id, body");
}

static void text_with_commas_stays_text(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "One, two, three.\nFour, five, six.\n",
        "text\nand more\n",
        "The text, as it was,\nwas long.\n",
        "\"Come in,\" she said.\n\"No,\" he said.\n\"Yes,\" I said.\n\"Well,\" they said.\n",
        "a,b\nc,d\ne,f\ng,h\n",
        "a;b\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char expected[200];
        snprintf(expected, sizeof expected, "%s|", texts[i]);
        expect_cut(texts[i], expected);
    }
    struct documents_options csv = named_as(NAMED_CSV); /* content first, then names */
    expect_bytes(&csv, "{\"text\": \"one\"}\n", 16, "one|");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_named_column_is_the_text),
        cmocka_unit_test(fields_are_quoted_as_in_rfc_4180),
        cmocka_unit_test(a_quote_among_tabs_joins_no_records),
        cmocka_unit_test(records_that_do_not_fit_are_bad),
        cmocka_unit_test(a_missing_column_is_an_error_that_lists_them),
        cmocka_unit_test(text_with_commas_stays_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
