/* A model is cut only where the cut was proven: rows of the prepared model are the file's own. */
#include "tests/tiny_models.h"
#include "tests/unit/engine/rows.h"

#include "engine/llama_prepare.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

static char told[16384], warned[4096];

static int kill_at_first_context; /* the signal; 0: none */

/* Send the signal to all children of this process. */
static void kill_children(int number)
{
    char path[64];
    int pid;
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fscanf(file, "%d", &pid) == 1) kill(pid, number);
    fclose(file);
}

static void tell(void *arg, int is_warning, const char *sentence)
{
    (void)arg;
    if (kill_at_first_context && strstr(sentence, "context 1 of"))
        kill_children(kill_at_first_context);
    char *to = is_warning ? warned : told;
    size_t room = is_warning ? sizeof warned : sizeof told, used = strlen(to);
    snprintf(to + used, room - used, "%s\n", sentence);
}

static char model_file[512], corpus_file[512];
static const char *model = model_file, *corpus = corpus_file;
static char cache[256], hook[64];
static const char *hooks[] = {hook};

static struct engine_options options_of(int layer, int exact)
{
    snprintf(hook, sizeof hook, "resid_post.%d", layer);
    snprintf(cache, sizeof cache, "%s/cache", folder);
    told[0] = warned[0] = '\0';
    return (struct engine_options){.kind = ENGINE_LLAMA,
                                   .hooks = hooks,
                                   .hooks_count = 1,
                                   .share_count = 1,
                                   .model_file = model,
                                   .cache_dir = cache,
                                   .cache_limit_bytes = 8ull << 30,
                                   .exact_model = exact,
                                   .watch = {.tell = tell},
                                   .corpus = &corpus,
                                   .corpus_count = 1,
                                   .text_field = "text",
                                   .context_tokens = 64,
                                   .batch_contexts = 2,
                                   .threads = 2,
                                   .prepend_bos = -1};
}

static void make_corpus(void)
{
    char *text = make_text(5, 60);
    snprintf(corpus_file, sizeof corpus_file, "%s", write_text("corpus.txt", text));
    free(text);
}

/* The greatest |a - b| / |b| of rows. */
static double worst_difference(const struct rows *a, const struct rows *b)
{
    double worst = 0;
    assert_int_equal(a->count, b->count);
    assert_memory_equal(a->ids, b->ids, a->count * sizeof *a->ids);
    for (size_t i = 0; i < a->count; i++) {
        double off = distance(row_of(a, i), row_of(b, i), a->width);
        if (!(off <= worst)) worst = off;
    }
    return worst;
}

static void rows_are_the_files_own(const struct tiny *tiny, int layer, int is_cut, uint32_t kept)
{
    char name[64];
    snprintf(name, sizeof name, "%s.gguf", tiny->architecture);
    snprintf(model_file, sizeof model_file, "%s", in_folder(name));
    tiny_write(model, tiny);
    struct engine_options exact = options_of(layer, 1);
    struct rows own = all_rows(&exact);
    struct engine_options options = options_of(layer, 0);
    struct engine *e = open_engine(&options);
    struct rows got = gather(e, SIZE_MAX);
    print_message("%s: %s%s\n", tiny->architecture, told, warned);
    assert_true(worst_difference(&got, &own) <= 1e-5);
    assert_int_equal(engine_info(e)->layers_kept, kept);
    assert_int_equal(strstr(warned, "the layers above the hooks stay") != NULL, !is_cut);
    assert_int_equal(strstr(told, "is cut above its hooks") != NULL, is_cut);
    engine_close(e);
    free_rows(&own);
    free_rows(&got);
}

static void refused(const char *architecture, int layers, int layer, int head_width, int kv_array)
{
    struct tiny tiny = {.architecture = architecture,
                        .layers = layers,
                        .head_width = head_width,
                        .kv_array = kv_array};
    make_corpus();
    rows_are_the_files_own(&tiny, layer, 0, (uint32_t)layers);
}

static void gemma2_keeps_its_layers(void **state)
{
    (void)state;
    refused("gemma2", 46, 5, 16, 0);
    assert_non_null(strstr(warned, "computes other rows"));
}

static void gemma3_keeps_its_layers(void **state)
{
    (void)state;
    refused("gemma3", 62, 5, 16, 0);
    assert_non_null(strstr(warned, "computes other rows"));
}

static void minicpm_keeps_its_layers(void **state)
{
    (void)state;
    refused("minicpm", 40, 5, 0, 0);
}

static void minicpm3_keeps_its_layers(void **state)
{
    (void)state;
    refused("minicpm3", 62, 5, 8, 0);
}

/* Its window opens after the 8th token alone. */
static void exaone4_keeps_its_layers(void **state)
{
    (void)state;
    refused("exaone4", 64, 5, 0, 0);
}

static void lfm2_keeps_its_layers(void **state)
{
    (void)state;
    refused("lfm2", 6, 1, 0, 0);
    assert_non_null(strstr(warned, "does not run"));
}

static void gemma4_keeps_its_layers(void **state)
{
    (void)state;
    refused("gemma4", 6, 1, 0, 0);
    assert_non_null(strstr(warned, "does not run"));
}

static void a_llama_with_an_array_keeps_its_layers(void **state)
{
    (void)state;
    refused("llama", 6, 1, 0, 1);
    assert_non_null(strstr(warned, "does not run"));
}

static void a_llama_is_cut(void **state)
{
    (void)state;
    struct tiny tiny = {.architecture = "llama", .layers = 6};
    make_corpus();
    rows_are_the_files_own(&tiny, 1, 1, 3);
}

/* ---- what is kept ---- */

static int files_with(const char *part)
{
    char path[512];
    snprintf(path, sizeof path, "%s/prepared", cache);
    DIR *dir = opendir(path);
    int n = 0;
    for (struct dirent *d; dir && (d = readdir(dir));) n += strstr(d->d_name, part) != NULL;
    if (dir) closedir(dir);
    return n;
}

static void open_and_close(int layer, uint32_t context_tokens)
{
    struct engine_options options = options_of(layer, 0);
    options.context_tokens = context_tokens;
    engine_close(open_engine(&options));
}

static int was_proven_now(void)
{
    return strstr(told, "proving") != NULL;
}

/* A verdict holds for one length of contexts, one set of hooks, one number of layers; it is made
 * once, also where it is a refusal, and a model without one is not used. */
static void a_verdict_is_made_once_for_each_key(void **state)
{
    (void)state;
    struct tiny tiny = {.architecture = "llama", .layers = 8};
    make_corpus();
    snprintf(model_file, sizeof model_file, "%s", in_folder("llama.gguf"));
    tiny_write(model, &tiny);
    open_and_close(1, 64);
    assert_true(was_proven_now());
    open_and_close(1, 64);
    assert_false(was_proven_now());
    assert_non_null(strstr(told, "is cut above its hooks")); /* said each time */
    open_and_close(1, 32);
    assert_true(was_proven_now());
    open_and_close(2, 64);
    assert_true(was_proven_now());
    assert_int_equal(files_with("-cut-"), 3);
    assert_int_equal(files_with(".tmp"), 0);

    /* The verdict is gone, the cut model is not. */
    char path[512], name[1024] = "";
    snprintf(path, sizeof path, "%s/prepared", cache);
    DIR *dir = opendir(path);
    for (struct dirent *d; (d = readdir(dir));)
        if (strstr(d->d_name, "-cut-ctx64-") && strstr(d->d_name, "layers3"))
            snprintf(name, sizeof name, "%s/%s", path, d->d_name);
    closedir(dir);
    assert_int_equal(unlink(name), 0);
    open_and_close(1, 64);
    assert_true(was_proven_now());

    /* One that is no whole record counts as none. */
    assert_int_equal(file_replace(name, "{\"equal\": true", 14), ERR_OK);
    open_and_close(1, 64);
    assert_true(was_proven_now());
    open_and_close(1, 64);
    assert_false(was_proven_now());
}

static void a_refusal_is_remembered(void **state)
{
    (void)state;
    struct tiny tiny = {.architecture = "minicpm", .layers = 40};
    make_corpus();
    snprintf(model_file, sizeof model_file, "%s", in_folder("minicpm.gguf"));
    tiny_write(model, &tiny);
    open_and_close(3, 64);
    assert_true(was_proven_now());
    assert_non_null(strstr(warned, "computes other rows"));
    open_and_close(3, 64);
    assert_false(was_proven_now());
    assert_non_null(strstr(warned, "computes other rows"));
}

/* What stops the proof from without says nothing of the model. */
static void a_proof_that_is_stopped_is_no_verdict(void **state)
{
    (void)state;
    static const int signals[] = {SIGTERM, SIGINT, SIGKILL};
    struct tiny tiny = {.architecture = "llama", .layers = 8};
    struct engine *e;
    make_corpus();
    snprintf(model_file, sizeof model_file, "%s", in_folder("llama.gguf"));
    tiny_write(model, &tiny);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct engine_options options = options_of(1, 0);
        options.context_tokens = 512;
        kill_at_first_context = signals[i];
        int result = engine_open(&options, &e);
        kill_at_first_context = 0;
        assert_true(result == ERR_IO || result == ERR_NOMEM);
        assert_int_equal(files_with("-cut-"), 0);
    }
    struct engine_options options = options_of(1, 0);
    struct rlimit old, small = {100000, RLIM_INFINITY};
    getrlimit(RLIMIT_FSIZE, &old);
    setrlimit(RLIMIT_FSIZE, &small);
    int result = engine_open(&options, &e);
    setrlimit(RLIMIT_FSIZE, &old);
    print_message("%s\n", err_text());
    assert_int_equal(result, ERR_NOSPC);
    assert_non_null(strstr(err_text(), "ulimit -f"));
    assert_int_equal(files_with("-cut-"), 0);
    options = options_of(1, 0);
    e = open_engine(&options);
    assert_int_equal(engine_info(e)->layers_kept, 3);
    engine_close(e);
}

/* With one document a context, too, the distance is measured on text alone, and on as much as there
 * is. */
static void the_distance_is_of_the_text_that_there_is(void **state)
{
    (void)state;
    char text[6000] = "";
    for (int i = 0; i < 40; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text),
                 "{\"text\": \"Document %d of a few words.\"}\n", i);
    snprintf(corpus_file, sizeof corpus_file, "%s", write_text("short.jsonl", text));
    snprintf(model_file, sizeof model_file, "%s", model_path());
    struct engine_options options = options_of(1, 0);
    options.one_document = 1;
    options.context_tokens = 512;
    engine_close(open_engine(&options));
    const char *on = strstr(told, ", on ");
    assert_non_null(on);
    int rows = atoi(on + 5);
    print_message("%d rows\n", rows);
    assert_true(rows > 40 * 5 && rows < 40 * 20);
    assert_non_null(strstr(on, "rows of text"));
    snprintf(corpus_file, sizeof corpus_file, "%s", write_text("one.txt", "One."));
    options = options_of(2, 0);
    engine_close(open_engine(&options));
    assert_non_null(strstr(told, "rows of random tokens"));
}

/* The distance of another type is measured, told, and in the engine's description. */
static void a_change_of_type_is_told(void **state)
{
    (void)state;
    make_corpus();
    snprintf(model_file, sizeof model_file, "%s", model_path());
    struct engine_options options = options_of(3, 0);
    struct engine *e = open_engine(&options);
    const struct engine_info *info = engine_info(e);
    assert_string_equal(info->source_precision, "q4_1");
    assert_true(info->prepared_fve > 0.99 && info->prepared_fve < 1);
    assert_int_equal(info->layers_kept, 5);
    assert_non_null(strstr(told, "turned from q4_1 into"));
    assert_non_null(strstr(told, "rows of text"));
    engine_close(e);
    options = options_of(3, 1);
    e = open_engine(&options);
    assert_true(engine_info(e)->prepared_fve == 1);
    assert_int_equal(engine_info(e)->layers_kept, 30);
    engine_close(e);
}

static void what_will_be_made_is_foretold(void **state)
{
    (void)state;
    struct tiny tiny = {.architecture = "llama", .layers = 8};
    make_corpus();
    snprintf(model_file, sizeof model_file, "%s", in_folder("llama.gguf"));
    tiny_write(model, &tiny);
    struct engine_options options = options_of(1, 0);
    struct engine_forecast before, after;
    assert_int_equal(engine_forecast(&options, &before), ERR_OK);
    assert_int_equal(before.is_ready, 0);
    assert_int_equal(before.layers_kept, 3);
    assert_int_equal(before.layers, 8);
    assert_true(before.disk_bytes > 100000 && before.memory_bytes > 0);
    assert_int_equal(files_with(".gguf"), 0); /* it only looked */
    engine_close(open_engine(&options));
    assert_int_equal(engine_forecast(&options, &after), ERR_OK);
    assert_int_equal(after.is_ready, 1);
    assert_int_equal(after.disk_bytes, 0);
}

/* What the real model's proof takes stays within what was foretold. */
static void what_was_foretold_is_enough(void **state)
{
    (void)state;
    struct rusage before, after;
    struct engine_forecast f;
    char path[512];
    uint64_t largest = 0;
    struct stat st;
    make_corpus();
    snprintf(model_file, sizeof model_file, "%s", model_path());
    struct engine_options options = options_of(5, 0);
    options.context_tokens = 256;
    assert_int_equal(engine_forecast(&options, &f), ERR_OK);
    getrusage(RUSAGE_SELF, &before);
    engine_close(open_engine(&options));
    getrusage(RUSAGE_CHILDREN, &after); /* of the largest child */
    uint64_t own = (uint64_t)before.ru_maxrss << 10, most = (uint64_t)after.ru_maxrss << 10;
    print_message("%llu MiB of %llu\n", (unsigned long long)(most >> 20),
                  (unsigned long long)((f.memory_bytes + f.mapped_bytes + own) >> 20));
    assert_true(most <= f.memory_bytes + f.mapped_bytes + own);
    snprintf(path, sizeof path, "%s/prepared", cache);
    DIR *dir = opendir(path);
    for (struct dirent *d; (d = readdir(dir));)
        if (fstatat(dirfd(dir), d->d_name, &st, 0) == 0 && (uint64_t)st.st_size > largest)
            largest = (uint64_t)st.st_size;
    closedir(dir);
    assert_true(largest > 0 && largest <= f.disk_bytes);
    assert_true(largest <= f.prepared_bytes);
}

int main(int argc, char **argv)
{
    (void)argc;
    setenv("SLUICE_PREPARED", "f32", 1); /* as the tiny models are */
    engine_threads_passive(argv);        /* another test may have the cores */
#define EACH(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        EACH(gemma2_keeps_its_layers),
        EACH(gemma3_keeps_its_layers),
        EACH(minicpm_keeps_its_layers),
        EACH(minicpm3_keeps_its_layers),
        EACH(exaone4_keeps_its_layers),
        EACH(lfm2_keeps_its_layers),
        EACH(gemma4_keeps_its_layers),
        EACH(a_llama_with_an_array_keeps_its_layers),
        EACH(a_llama_is_cut),
        EACH(a_verdict_is_made_once_for_each_key),
        EACH(a_refusal_is_remembered),
        EACH(a_proof_that_is_stopped_is_no_verdict),
        EACH(the_distance_is_of_the_text_that_there_is),
        EACH(a_change_of_type_is_told),
        EACH(what_will_be_made_is_foretold),
        EACH(what_was_foretold_is_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
