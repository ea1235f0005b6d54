/*
 * Rows are never taken under another's name: llama_decode() is replaced here by one that spoils the
 * batch before the real one runs, as a reordering batch splitter would.
 */
#include "tests/unit/engine/rows.h"

#include <dlfcn.h>
#include <sys/wait.h>

/* llama.h's struct llama_batch, which tests do not include. */
struct llama_batch {
    int32_t n_tokens;
    int32_t *token;
    float *embd;
    int32_t *pos;
    int32_t *n_seq_id;
    int32_t **seq_id;
    int8_t *logits;
};

int32_t llama_decode(void *context, struct llama_batch batch);

static enum { SOUND, SWAPPED_TOKENS, SHIFTED_POSITIONS, ONE_TOKEN_LESS, ABORTS } fault;

int32_t llama_decode(void *context, struct llama_batch batch)
{
    int32_t (*real)(void *, struct llama_batch);
    *(void **)&real = dlsym(RTLD_NEXT, "llama_decode");
    assert_non_null(real);
    int32_t last = batch.n_tokens - 1;
    if (fault == ABORTS) abort();
    if (fault == SWAPPED_TOKENS) {
        int32_t token = batch.token[last];
        batch.token[last] = batch.token[last - 1];
        batch.token[last - 1] = token;
    }
    for (int32_t i = 0; fault == SHIFTED_POSITIONS && i <= last; i++) batch.pos[i]++;
    if (fault == ONE_TOKEN_LESS) batch.n_tokens--;
    return real(context, batch);
}

static int next_with(int what)
{
    static const char *const hooks[] = {"resid_post.1"};
    char *text = make_text(3, 400);
    const char *path = write_text("corpus.txt", text);
    free(text);
    struct engine_options options = {.kind = ENGINE_LLAMA,
                                     .hooks = hooks,
                                     .hooks_count = 1,
                                     .share_count = 1,
                                     .model_file = model_path(),
                                     .exact_model = 1,
                                     .corpus = &path,
                                     .corpus_count = 1,
                                     .text_field = "text",
                                     .context_tokens = 64,
                                     .batch_contexts = 2,
                                     .threads = 1,
                                     .prepend_bos = -1};
    struct engine *e = open_engine(&options);
    struct engine_batch batch;
    fault = what;
    int result = engine_next(e, &batch);
    fault = SOUND;
    engine_close(e);
    return result;
}

static void what_the_graph_computes_must_be_what_was_submitted(void **state)
{
    (void)state;
    assert_int_equal(next_with(SOUND), ERR_OK);
    assert_int_equal(next_with(SWAPPED_TOKENS), ERR_MISMATCH);
    assert_non_null(strstr(err_text(), "tokens"));
    assert_int_equal(next_with(SHIFTED_POSITIONS), ERR_MISMATCH);
    assert_non_null(strstr(err_text(), "positions"));
    assert_int_equal(next_with(ONE_TOKEN_LESS), ERR_MISMATCH);
}

/* What aborts inside llama.cpp ends the process with exit code 2 and a line that says so. */
static void an_abort_is_an_exit(void **state)
{
    (void)state;
    int fd[2], status;
    char said[1024] = "";
    assert_int_equal(pipe(fd), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fd[1], STDERR_FILENO);
        next_with(ABORTS);
        _exit(0);
    }
    close(fd[1]);
    size_t used = 0;
    for (ssize_t n; (n = read(fd[0], said + used, sizeof said - 1 - used)) > 0;) used += (size_t)n;
    close(fd[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 2);
    assert_non_null(strstr(said, "level=error msg=\"llama.cpp failed inside"));
}

int main(int argc, char **argv)
{
    (void)argc;
    engine_threads_passive(argv); /* another test may have the cores */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_graph_computes_must_be_what_was_submitted),
        cmocka_unit_test(an_abort_is_an_exit),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
