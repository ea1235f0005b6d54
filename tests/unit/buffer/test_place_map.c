#include "tests/unit/buffer/rig.h"

#include "buffer/place_map.h"

enum { PRODUCERS = 3, NUMBERS = 40 };

/* Against the plainest twin, with so few keys that they collide and are removed from within
 * runs. */
static void a_map_is_a_map(void **state)
{
    (void)state;
    uint64_t twin[PRODUCERS][NUMBERS + 1] = {{0}};
    struct place_map map;
    struct rng rng;
    rng_seed(&rng, 1);
    assert_ok(place_map_init(&map, 4)); /* it grows */
    for (int i = 0; i < 200000; i++) {
        uint32_t p = (uint32_t)rng_below(&rng, PRODUCERS);
        uint64_t n = 1 + rng_below(&rng, NUMBERS), value;
        if (rng_below(&rng, 2)) {
            twin[p][n] = 1 + rng_below(&rng, 1000);
            assert_ok(place_map_put(&map, p, n, twin[p][n]));
        } else {
            twin[p][n] = 0;
            place_map_remove(&map, p, n);
        }
        p = (uint32_t)rng_below(&rng, PRODUCERS);
        n = 1 + rng_below(&rng, NUMBERS);
        int there = place_map_get(&map, p, n, &value);
        assert_int_equal(there, twin[p][n] != 0);
        if (there) assert_int_equal(value, twin[p][n]);
    }
    size_t count = 0;
    for (int p = 0; p < PRODUCERS; p++)
        for (int n = 1; n <= NUMBERS; n++) count += twin[p][n] != 0;
    assert_int_equal(map.count, count);
    place_map_clear(&map);
    assert_int_equal(map.count, 0);
    place_map_fini(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_map_is_a_map),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
