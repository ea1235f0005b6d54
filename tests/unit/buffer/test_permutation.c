#include "tests/unit/buffer/rig.h"

#include "buffer/permutation.h"

static void every_order_is_a_bijection(void **state)
{
    (void)state;
    uint8_t *seen = malloc(70000);
    for (uint32_t n = 1; n < 70000; n += n < 300 ? 1 : n / 5) {
        struct permutation p = permutation_of(n);
        for (uint64_t key = 0; key < 5; key++) {
            memset(seen, 0, n);
            for (uint32_t i = 0; i < n; i++) {
                uint32_t at = permutation_at(&p, hash_u64(key), i);
                assert_true(at < n);
                assert_false(seen[at]);
                seen[at] = 1;
            }
        }
    }
    free(seen);
}

/* Every place takes every value about equally often over the keys (chi-square), and neighbours
 * part: an order that kept runs together would put one sequence's rows into one batch. */
static void orders_are_random(void **state)
{
    (void)state;
    enum { N = 32, KEYS = 20000 };
    static uint32_t count[N][N];
    struct permutation p = permutation_of(N);
    uint64_t neighbours = 0;
    for (uint64_t key = 0; key < KEYS; key++) {
        uint32_t last = N + 1;
        for (uint32_t i = 0; i < N; i++) {
            uint32_t at = permutation_at(&p, hash_u64(key), i);
            count[i][at]++;
            neighbours += at == last + 1;
            last = at;
        }
    }
    double chi = 0, expected = (double)KEYS / N;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            double off = count[i][j] - expected;
            chi += off * off / expected;
        }
    /* (N-1)^2 = 961 degrees of freedom, sd 43.8. */
    assert_true(chi > 961 - 6 * 44 && chi < 961 + 6 * 44);
    /* Of N-1 pairs 1/N each are expected: KEYS x 31/32 = 19,375, sd about 139. */
    assert_in_range(neighbours, 19375 - 850, 19375 + 850);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_order_is_a_bijection),
        cmocka_unit_test(orders_are_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
