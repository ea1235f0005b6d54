/* Prepared models and the folder that keeps them. */
#include "tests/unit/engine/support.h"

#include "engine/engine.h"
#include "engine/llama_prepare.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

static const uint64_t PLENTY = 8ull << 30;

/* What the watch was told: how often, and last of what. */
static int told;
static char told_file[4096];
static uint64_t told_bytes;

static void on_preparing(void *arg, const char *file, uint64_t bytes)
{
    (void)arg;
    told++;
    snprintf(told_file, sizeof told_file, "%s", file);
    told_bytes = bytes;
}

/* The last warning, and all that was told since `told_all` was cleared. */
static char warning[1200], told_all[8192];

static void on_tell(void *arg, int is_warning, const char *sentence)
{
    (void)arg;
    if (is_warning) snprintf(warning, sizeof warning, "%s", sentence);
    size_t used = strlen(told_all);
    snprintf(told_all + used, sizeof told_all - used, "%s\n", sentence);
}

static int checks, is_checking;

static void on_checking(void *arg, int is_checked)
{
    (void)arg;
    assert_int_not_equal(is_checked, is_checking);
    is_checking = is_checked;
    checks += is_checked;
}

static const struct engine_watch watch = {
    .preparing = on_preparing, .tell = on_tell, .checking = on_checking};

static int prepare_file(const char *source, int32_t top_layer, uint64_t limit_bytes,
                        struct llama_prepared *p)
{
    char name[32];
    const char *const names[] = {name};
    struct llama_hooks hooks;
    snprintf(name, sizeof name, "resid_post.%d", top_layer);
    assert_int_equal(llama_hooks_parse(names, 1, &hooks), ERR_OK);
    struct llama_prepare_options options = {.source = source,
                                            .source_hash = 42,
                                            .source_precision = "q4_1",
                                            .hooks = &hooks,
                                            .cache_dir = folder,
                                            .limit_bytes = limit_bytes,
                                            .context_tokens = 32,
                                            .threads = 2,
                                            .watch = &watch};
    warning[0] = told_all[0] = '\0';
    return llama_prepare(&options, p);
}

static int prepare(int32_t top_layer, uint64_t limit_bytes, struct llama_prepared *p)
{
    return prepare_file(model_path(), top_layer, limit_bytes, p);
}

static uint64_t bytes_of(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static int models_in_folder(void)
{
    char path[256];
    snprintf(path, sizeof path, "%s/prepared", folder);
    DIR *dir = opendir(path);
    int n = 0;
    for (struct dirent *d; dir && (d = readdir(dir));) n += strstr(d->d_name, ".gguf") != NULL;
    if (dir) closedir(dir);
    return n;
}

static void set_age(const char *path, time_t seconds)
{
    struct timespec times[2] = {{.tv_sec = time(NULL) - seconds}, {.tv_sec = time(NULL) - seconds}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void it_is_made_once_and_cut_above_the_hook(void **state)
{
    (void)state;
    struct llama_prepared low, high, again;
    told = checks = 0;
    assert_int_equal(prepare(0, PLENTY, &low), ERR_OK);
    assert_int_equal(checks, 2); /* cut, and of another type */
    assert_int_equal(is_checking, 0);
    assert_int_equal(prepare(3, PLENTY, &high), ERR_OK);
    assert_int_equal(told, 2);
    assert_memory_equal(told_file, high.path, strlen(high.path)); /* and an ending */
    assert_true(told_bytes > bytes_of(high.path) / 2 && told_bytes < 2 * bytes_of(high.path));
    assert_true(bytes_of(low.path) > 0 && bytes_of(low.path) < bytes_of(high.path));
    assert_true(low.hash != high.hash);
    struct stat first, second;
    assert_int_equal(stat(low.path, &first), 0);
    assert_int_equal(first.st_mode & 0777, 0600);
    set_age(low.path, 1000);
    assert_int_equal(prepare(0, PLENTY, &again), ERR_OK);
    assert_int_equal(told, 2);
    assert_string_equal(again.path, low.path);
    assert_true(again.hash == low.hash);
    assert_int_equal(stat(low.path, &second), 0);
    assert_int_equal(first.st_ino, second.st_ino);         /* not made again */
    assert_true(time(NULL) - second.st_mtim.tv_sec < 100); /* but marked as used */
}

static void the_least_recently_used_go_first(void **state)
{
    (void)state;
    struct llama_prepared a, b, c;
    assert_int_equal(prepare(0, PLENTY, &a), ERR_OK);
    assert_int_equal(prepare(1, PLENTY, &b), ERR_OK);
    set_age(a.path, 10); /* b is older */
    set_age(b.path, 20);
    uint64_t room = bytes_of(a.path) + bytes_of(b.path) + bytes_of(b.path);
    assert_int_equal(prepare(2, room, &c), ERR_OK);
    assert_int_equal(bytes_of(b.path), 0);
    assert_true(bytes_of(a.path) > 0 && bytes_of(c.path) > 0);
    assert_int_equal(models_in_folder(), 2);
}

static void half_made_ones_are_removed(void **state)
{
    (void)state;
    struct llama_prepared p;
    assert_int_equal(prepare(0, PLENTY, &p), ERR_OK);
    char left[5000];
    snprintf(left, sizeof left, "%s.tmp", p.path);
    assert_int_equal(file_replace(left, "half", 4), ERR_OK);
    assert_int_equal(prepare(1, PLENTY, &p), ERR_OK);
    assert_int_equal(bytes_of(left), 0);
    assert_int_equal(models_in_folder(), 2);
}

/* From the type that this processor has, or that was asked for. */
static void a_lower_one_is_taken(void)
{
    struct llama_prepared p;
    assert_int_equal(prepare(0, PLENTY, &p), ERR_OK);
    /* The next type, with a large vocabulary, fits. */
    uint64_t whole = bytes_of(p.path), header = 16 << 20;
    assert_int_equal(prepare(0, whole * 2 / 3 + header, &p), ERR_OK);
    assert_true(bytes_of(p.path) < whole * 2 / 3);
    assert_int_equal(models_in_folder(), 1); /* the larger one went */
    assert_int_equal(prepare(0, 1 << 20, &p), ERR_NOSPC);
    assert_non_null(strstr(err_text(), "exact_model"));
}

static void a_smaller_cap_means_a_lower_precision(void **state)
{
    (void)state;
    a_lower_one_is_taken();
}

static void the_type_may_be_asked_for(void **state)
{
    (void)state;
    static const char *const types[] = {"f32", "bf16"};
    struct llama_prepared p;
    for (int i = 0; i < 2; i++) {
        char part[16];
        snprintf(part, sizeof part, "-%s-", types[i]);
        setenv("SLUICE_PREPARED", types[i], 1);
        assert_int_equal(prepare(0, PLENTY, &p), ERR_OK);
        assert_non_null(strstr(p.path, part));
        a_lower_one_is_taken();
    }
    setenv("SLUICE_PREPARED", "fp32", 1);
    assert_int_equal(prepare(0, PLENTY, &p), ERR_USAGE);
    assert_non_null(strstr(err_text(), "SLUICE_PREPARED is 'fp32'"));
    unsetenv("SLUICE_PREPARED");
}

static void what_is_no_model_is_told(void **state)
{
    (void)state;
    struct llama_prepared p;
    const char *path = write_text("cut.gguf", "GGUF\x03\0\0\0 and no more");
    assert_int_equal(prepare_file(path, 0, PLENTY, &p), ERR_FORMAT);
}

int main(int argc, char **argv)
{
    (void)argc;
    engine_threads_passive(argv); /* another test may have the cores */
#define EACH(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        EACH(it_is_made_once_and_cut_above_the_hook),
        EACH(the_least_recently_used_go_first),
        EACH(half_made_ones_are_removed),
        EACH(a_smaller_cap_means_a_lower_precision),
        EACH(the_type_may_be_asked_for),
        EACH(what_is_no_model_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
