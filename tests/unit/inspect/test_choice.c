/* Which features are chosen for a first look: an index whose sheets are made up. */
#include "tests/unit/inspect/made_index.h"

#include "inspect/choice.h"

#include <sys/stat.h>

static const char *const words[] = {" go",  " went", " Goes", " GO", " red", " blue",
                                    " tea", " cup",  " milk", "ing", "ed",   " sun",
                                    " sky", " a",    " b",    " of", " to",  "\xff<b>"};
enum { WORDS = sizeof words / sizeof *words, KEPT_ROWS = 10000 };

struct made_up {
    uint64_t rows;
    int contexts, words[CHOICE_CONTEXTS]; /* the last word is repeated */
    int count;                            /* of words */
    double first, rest;                   /* values */
};

static const struct made_up all[] = {
    {50, 10, {0, 13, 14}, 3, 16, 16},             /* 0: shares " go" with 1 */
    {50, 10, {3, 1, 2}, 3, 20, 20},               /* 1: the best */
    {50, 10, {4, 5}, 2, 40, 40},                  /* 2: too few words */
    {50, 10, {4, 5, 6, 7, 8, 11, 12}, 7, 40, 40}, /* 3: too many */
    {50, 10, {9, 10, 4, 5}, 4, 40, 40},           /* 4: two that are not whole */
    {100, 10, {4, 5, 6}, 3, 40, 40},              /* 5: at 1 % of rows */
    {15, 10, {4, 5, 6}, 3, 40, 40},               /* 6: at too few */
    {16, 10, {4, 5, 9, 6}, 4, 15, 15},            /* 7: one that is not whole; the second */
    {99, 10, {7, 8, 11}, 3, 100, 1},              /* 8: the largest value, and a low mean */
    {50, 9, {13, 14, 15}, 3, 40, 40},             /* 9: too few contexts */
    {0, 0, {0}, 0, 0, 0},                         /* 10: never fires */
    {50, 10, {16, 12, 17}, 3, 40, 40},            /* 11: its words are not whole, nor UTF-8 */
};
enum { FEATURES = sizeof all / sizeof *all };

static json_t *sheet_of(uint32_t f)
{
    const struct made_up *m = &all[f];
    json_t *top = json_array();
    for (int i = 0; i < m->contexts; i++) {
        int word = m->words[i < m->count ? i : m->count - 1];
        json_array_append_new(top, json_pack("{s:i, s:i, s:i, s:[i], s:[f]}", "sequence", i,
                                             "position", 1, "at", 0, "tokens", word, "values",
                                             i ? m->rest : m->first));
    }
    return json_pack("{s:i, s:I, s:f, s:f, s:f, s:[], s:o, s:[], s:[], s:[], s:n, s:n}", "feature",
                     f, "rows", (json_int_t)m->rows, "density", (double)m->rows / KEPT_ROWS,
                     "largest", m->first, "mean", m->rest, "histogram", "top", top, "intervals",
                     "together", "alike", "promotes", "suppresses");
}

static void add_sheet(struct index_writer *writer, uint32_t f)
{
    json_t *sheet = sheet_of(f);
    char *text = json_dumps(sheet, JSON_COMPACT);
    struct index_entry entry = {.rows = all[f].rows,
                                .largest = (float)all[f].first,
                                .mean = (float)all[f].rest,
                                .token = all[f].contexts ? all[f].words[0] : -1};
    made_add(writer, entry, text);
    free(text);
    json_decref(sheet);
}

static void open_made_up(int with_words, struct index *index)
{
    const char *where = in_folder(with_words ? "index" : "wordless");
    struct index_writer writer;
    struct made_word made[WORDS];
    const struct texts texts = {WORDS, made_text, made};
    struct index_facts facts = {.name = "made-up",
                                .layout = "hooks",
                                .hooks = 1,
                                .hook = {"resid_post.1"},
                                .features = FEATURES,
                                .rows = KEPT_ROWS,
                                .kept_rows = KEPT_ROWS};
    assert_int_equal(mkdir(where, 0700), 0);
    assert_int_equal(index_writer_open(where, 0, 0, &writer), ERR_OK);
    for (uint32_t f = 0; f < FEATURES; f++) add_sheet(&writer, f);
    for (int w = 0; w < WORDS; w++) made[w] = (struct made_word){words[w], strlen(words[w])};
    made_end(where, &writer, with_words ? &texts : NULL, &facts);
    if (index_open(where, index) != ERR_OK) fail_msg("%s", err_text());
}

static void the_rule_is_kept(void **state)
{
    static const uint32_t should[] = {1, 7, 8};
    struct index index;
    uint32_t chosen[CHOICE_MOST], count;
    (void)state;
    open_made_up(1, &index);
    for (uint32_t most = 1; most <= 5; most++) {
        assert_int_equal(choice_make(&index, most, chosen, &count), ERR_OK);
        assert_int_equal(count, most < 3 ? most : 3);
        for (uint32_t i = 0; i < count; i++) assert_int_equal(chosen[i], should[i]);
    }
    index_close(&index);
}

static void without_texts_nothing_is_chosen(void **state)
{
    struct index index;
    uint32_t chosen[CHOICE_MOST], count;
    (void)state;
    open_made_up(0, &index);
    assert_int_equal(choice_make(&index, 5, chosen, &count), ERR_USAGE);
    assert_int_equal(count, 0);
    index_close(&index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rule_is_kept),
        cmocka_unit_test(without_texts_nothing_is_chosen),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
