/*
 * Promoted and suppressed tokens: those of the lens, sorted; which part of a direction they are of;
 * and the same bytes of an index whenever its making was killed.
 */
#include "tests/unit/inspect/killed_child.h"
#include "tests/unit/inspect/synthetic_subject.h"
#include "tests/unit/inspect/tiny_subject.h"

#include "engine/engine.h"
#include "inspect/index.h"
#include "inspect/promotes.h"
#include "inspect/survey.h"

#include <math.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

static const struct promotes_points nothing_known;

struct lensed {
    struct llama_hooks hooks;
    struct llama_player *player;
    struct lens lens;
};

static void open_lens(struct lensed *l)
{
    l->player = tiny_player("llama", "resid_post.2", &l->hooks);
    assert_int_equal(lens_open(l->player, &l->hooks, 0, &l->lens), ERR_OK);
}

static void close_lens(struct lensed *l)
{
    lens_close(&l->lens);
    llama_player_close(l->player);
}

/* ---- which tokens ---- */

struct logits {
    float of[TINY_FEATURES][TINY_TOKENS];
};

static void keep(void *arg, uint32_t index, float *logits)
{
    memcpy(((struct logits *)arg)->of[index], logits, sizeof(float) * TINY_TOKENS);
}

/* By one token after another, the strongest of what is left. */
static void is_sorted(const float *logits, const struct promoted *list, uint32_t count, float sign)
{
    uint8_t told[TINY_TOKENS] = {0};
    assert_int_equal(count, PROMOTES);
    for (uint32_t i = 0; i < count; i++) {
        int best = -1;
        for (int t = 0; t < TINY_TOKENS; t++)
            if (!told[t] && (best < 0 || sign * logits[t] > sign * logits[best])) best = t;
        assert_int_equal(list[i].token, best);
        assert_true(list[i].logit == logits[best]);
        assert_true(sign * list[i].logit > 0);
        told[best] = 1;
    }
}

static void the_strongest_are_told(void **state)
{
    static struct logits logits;
    static struct promotes of[TINY_FEATURES];
    struct lensed l;
    struct subject s;
    (void)state;
    tiny_subject("resid_post.1", &s);
    open_lens(&l);
    struct promoter p = {.lens = &l.lens};
    assert_int_equal(promotes_find(&s, &nothing_known, &p.parts), ERR_OK);
    assert_int_equal(promotes_make(&p, &s, 0, TINY_FEATURES, of), ERR_OK);
    assert_int_equal(lens_read(&l.lens, subject_direction(&s, 0), TINY_FEATURES, keep, &logits),
                     ERR_OK);
    for (int f = 0; f < TINY_FEATURES; f++) {
        is_sorted(logits.of[f], of[f].up, of[f].ups, 1);
        is_sorted(logits.of[f], of[f].down, of[f].downs, -1);
    }
    p.parts.width--;
    assert_int_equal(promotes_make(&p, &s, 0, 1, of), ERR_USAGE);
    assert_non_null(strstr(err_text(), "--no-promotes"));
    close_lens(&l);
    subject_close(&s);
}

/* ---- which part ---- */

static void finds(struct subject *s, const char *hook, const struct promotes_points *points,
                  int result)
{
    struct promotes_parts parts;
    snprintf(s->hook[s->hooks - 1], sizeof s->hook[0], "%s", hook);
    int is = promotes_find(s, points, &parts);
    if (is != result) fail_msg("%s: %d", hook, is);
    if (result == ERR_OK) assert_int_equal(parts.count, 1);
    if (result != ERR_OK) assert_non_null(strstr(err_text(), "HINT"));
}

static void what_is_added_to_the_stream_promotes(void **state)
{
    static const struct promotes_points known = {.mlp = "ffn_out", .mlp_module = 1};
    static const char *const always[] = {"resid_pre.1",
                                         "resid_mid.0",
                                         "resid_post.2",
                                         "l_out-1",
                                         "attn_out.1",
                                         "mlp_out.1",
                                         "blocks.1.hook_resid_post"};
    static const char *const never[] = {"ffn_norm-1", "ffn_outer-1", "attn_norm-0", "synthetic",
                                        "model.layers.1.self_attn"};
    struct subject s;
    (void)state;
    tiny_subject("resid_post.1", &s);
    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        finds(&s, always[i], &nothing_known, ERR_OK);
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        finds(&s, never[i], &known, ERR_USAGE);
    finds(&s, "ffn_out-1", &nothing_known, ERR_USAGE);
    finds(&s, "ffn_out-1", &known, ERR_OK);
    finds(&s, "model.layers.1.mlp", &nothing_known, ERR_USAGE);
    finds(&s, "model.layers.1.mlp", &known, ERR_OK);
    subject_close(&s);
}

static void a_model_tells_its_points(void **state)
{
    struct promotes_points points;
    struct tiny tiny = {.architecture = "llama", .layers = TINY_LAYERS};
    (void)state;
    tiny_write(in_folder("points.gguf"), &tiny);
    promotes_look(in_folder("points.gguf"), &points);
    assert_string_equal(points.mlp, "ffn_out");
    assert_int_equal(points.mlp_module, 1);
    tiny.architecture = "gemma2"; /* a norm stands between module and sum */
    tiny_write(in_folder("points.gguf"), &tiny);
    promotes_look(in_folder("points.gguf"), &points);
    assert_string_not_equal(points.mlp, "ffn_out");
    assert_int_equal(points.mlp_module, 0);
    promotes_look(in_folder("nothing.gguf"), &points);
    assert_string_equal(points.mlp, "");
    assert_int_equal(points.mlp_module, 0);
}

/* ---- an index ---- */

static int give_lens(void *arg, struct lens **lens)
{
    *lens = &((struct lensed *)arg)->lens;
    return ERR_OK;
}

/* Directions of 96 values are taken for three of 32, added up, as a clt's are. */
static int survey(const char *name)
{
    struct engine *engine = known_engine(1500);
    struct subject subject;
    struct lensed l;
    char path[256];
    int was_there;
    snprintf(path, sizeof path, "%s", in_folder(name));
    known_subject(1, &subject);
    open_lens(&l);
    struct survey_options options = {.folder = path,
                                     .memory_bytes = UINT64_C(64) << 20,
                                     .lens = give_lens,
                                     .arg = &l,
                                     .parts = {0, TINY_WIDTH, KNOWN_WIDTH / TINY_WIDTH}};
    int result = survey_make(&subject, engine, &options, &was_there);
    close_lens(&l);
    subject_close(&subject);
    engine_close(engine);
    return result;
}

static void same(const char *a, const char *b)
{
    same_file(a, b, "index.json");
    same_file(a, b, "features.table");
    same_file(a, b, "features.data");
}

static void parts_are_added_up(void **state)
{
    static struct logits logits;
    float sum[TINY_WIDTH] = {0};
    struct lensed l;
    struct subject s;
    struct index x;
    json_t *sheet;
    (void)state;
    if (survey("plain") != ERR_OK) fail_msg("%s", err_text());
    known_subject(1, &s);
    open_lens(&l);
    for (int i = 0; i < KNOWN_WIDTH; i++) sum[i % TINY_WIDTH] += subject_direction(&s, 70)[i];
    assert_int_equal(lens_read(&l.lens, sum, 1, keep, &logits), ERR_OK);
    assert_int_equal(index_open(in_folder("plain"), &x), ERR_OK);
    assert_int_equal(index_sheet(&x, 70, &sheet), ERR_OK);
    for (int k = 0; k < 2; k++) {
        const json_t *list = json_object_get(sheet, k ? "suppresses" : "promotes"), *o;
        size_t i;
        assert_int_equal(json_array_size(list), PROMOTES);
        json_array_foreach(list, i, o)
        {
            double is = json_number_value(json_object_get(o, "logit"));
            double should = (double)logits.of[0][json_integer_value(json_object_get(o, "token"))];
            if (fabs(is - should) > 1e-4 * fabs(should)) fail_msg("%g, not %g", is, should);
        }
    }
    json_decref(sheet);
    index_close(&x);
    close_lens(&l);
    subject_close(&s);
}

static void killed_at_random_it_ends_the_same(void **state)
{
    struct rng rng;
    int kills = 0;
    double most_micros = 30000;
    (void)state;
    rng_seed(&rng, 5);
    for (int round = 0; kills < 3 && round < 60; round++) {
        char folder_name[32];
        snprintf(folder_name, sizeof folder_name, "killed-%d", round);
        kills += killed_child(&rng, most_micros, 4, survey, folder_name);
        same("plain", folder_name);
        most_micros /= 2; /* for a machine that is faster */
    }
    if (kills < 3) fail_msg("only %d kills", kills);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_strongest_are_told),
        cmocka_unit_test(what_is_added_to_the_stream_promotes),
        cmocka_unit_test(a_model_tells_its_points),
        cmocka_unit_test(parts_are_added_up),
        cmocka_unit_test(killed_at_random_it_ends_the_same),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
