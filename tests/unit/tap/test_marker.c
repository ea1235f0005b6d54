/* A word that is found over any cut of its text, and nowhere else. */
#include "tap/marker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Fed in pieces of 1 to `most` bytes; whether it was found. */
static int found(const struct marker *m, const char *text, unsigned most)
{
    uint64_t begun = MARKER_NOTHING;
    int is_there = 0;
    for (size_t at = 0, n; at < strlen(text); at += n) {
        n = 1 + (size_t)rand() % most;
        if (n > strlen(text) - at) n = strlen(text) - at;
        is_there |= marker_take(m, text + at, n, &begun);
    }
    return is_there;
}

/* Against strstr(), over texts of few letters, where beginnings of it come again and again. */
static void it_is_found_where_it_is(void **state)
{
    (void)state;
    unsigned there = 0;
    for (int turn = 0; turn < 20000; turn++) {
        char word[8] = "", text[64] = "";
        struct marker m;
        for (size_t i = 0, n = 1 + (size_t)rand() % 6; i < n; i++)
            word[i] = (char)('a' + rand() % 2);
        for (size_t i = 0, n = (size_t)rand() % 63; i < n; i++) text[i] = (char)('a' + rand() % 2);
        marker_make(word, &m);
        int is_there = strstr(text, word) != NULL;
        there += (unsigned)is_there;
        if (found(&m, text, 4) != is_there) fail_msg("%s in %s", word, text);
    }
    assert_in_range(there, 2000, 19000);
}

/* The tail of a text was removed, perhaps in the middle of the word. */
static void it_is_found_behind_what_is_not_known(void **state)
{
    struct marker m;
    uint64_t begun = MARKER_UNKNOWN;
    (void)state;
    marker_make("#private#", &m);
    assert_true(marker_take(&m, "vate#", 5, &begun));
    begun = MARKER_UNKNOWN;
    assert_false(marker_take(&m, "privat", 6, &begun));
    assert_true(marker_take(&m, "e#", 2, &begun));
    begun = MARKER_UNKNOWN;
    assert_false(marker_take(&m, "a priv", 6, &begun));
    assert_false(marker_take(&m, "ate#", 4, &begun));
}

static void without_a_word_nothing_is_found(void **state)
{
    struct marker m;
    (void)state;
    marker_make("", &m);
    assert_false(found(&m, "any text at all", 3));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_found_where_it_is),
        cmocka_unit_test(it_is_found_behind_what_is_not_known),
        cmocka_unit_test(without_a_word_nothing_is_found),
    };
    srand(3);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
