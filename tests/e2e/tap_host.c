/*
 * A program of somebody else's that the tap is tried on: does with a model what its arguments say.
 * Links libllama and nothing of ours; built with TAP_HOST_LATE it links nothing, and finds the functions
 * in the library by dlsym(), as Python does. With TAP_HOST_PART it is a library that links libllama, as
 * an extension of Python's does; tap_host_loads.c loads it.
 *
 *   tap_host MODEL WORD...
 *
 *   large                        from here on passes go through llama_process()
 *   text:SLOT:TEXT               the slot's tokens are of that text
 *   decode:SLOT/FROM-TO,...      a pass; slots with an `+` share the token; several take turns
 *   plain:COUNT                  a pass of slot 0 without positions, by llama_batch_get_one()
 *   embed:COUNT                  a pass of slot 0 of embeddings
 *   remove:SLOT:FROM:TO  shift:SLOT:FROM:TO:BY  divide:SLOT:FROM:TO:BY  copy:FROM:TO  keep:SLOT  clear
 *   save:SLOT  load:FROM:TO      a slot's state, into the same or another one
 *   vector:N                     a control vector is set; 0: it is taken away
 *   lora:FILE                    a LoRA is set
 *   adapters:0                   no LoRA is set
 *   warm                         a pass for no result
 *   own                          the program has a callback of its own (before the first pass)
 *   stream                       the model comes out of an open file (before it is loaded)
 *   stop  go                     which stops passes in layer 0, or no more
 *   leave:SLOT/FROM-TO           a pass whose thread ends in that callback, as by an exception
 *   other:MODEL                  another model's context decodes four tokens
 *   embedding                    another context of the model, for embeddings, decodes four tokens
 *   again                        free the context, and make another
 *   reload                       free the model too, and load it again
 *   child                        a forked child decodes four tokens
 *   crash                        abort()
 *   exit                         exit(), with context and model as they are
 *   until:FILE                   wait for a file, a minute at most
 *
 * Token p of text t: tap_host.h. Prints what llama_decode() said, and what the callback saw.
 */
#include "tests/e2e/tap_host.h"

#include <dlfcn.h>
#include <llama.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef TAP_HOST_LATE
static void *library;
#define L(name) ((__typeof__(&name))dlsym(library, #name))
#else
#define L(name) name
#endif

enum { SLOTS = 8, ROOM = 2048 };

static struct llama_model *model;
static struct llama_context *context;
static int text_of[SLOTS] = {0, 1, 2, 3, 4, 5, 6, 7};
static int is_large, is_stream;
static int has_callback, stops, leaves;
static int seen_asks, seen_values;
static struct {
    uint8_t *bytes;
    size_t size;
} state[SLOTS];

static void die(const char *why)
{
    fprintf(stderr, "tap_host: %s\n", why);
    exit(1);
}

static void quiet(enum ggml_log_level level, const char *text, void *arg)
{
    (void)arg;
    if (level == GGML_LOG_LEVEL_ERROR) fputs(text, stderr);
}

/* The program's own: wants l_out-0, and may stop the pass there. */
static bool own_callback(struct ggml_tensor *node, bool ask, void *arg)
{
    int *layer_is = arg;
    int is_it = strcmp(node->name, "l_out-0") == 0 && *layer_is == 0;
    seen_asks += ask;
    seen_values += !ask && is_it;
    if (leaves && !ask && is_it) pthread_exit(NULL); /* unwinds the stack */
    return ask ? is_it : !stops;
}

static struct llama_context *make_context(struct llama_model *of, int embeds)
{
    static int layer;
    struct llama_context_params p = L(llama_context_default_params)();
    p.n_ctx = 1024;
    p.n_batch = 512;
    p.n_ubatch = 64;
    p.n_seq_max = SLOTS;
    p.n_threads = p.n_threads_batch = 1;
    p.kv_unified = !getenv("TAP_HOST_APART");
    p.embeddings = embeds;
    if (has_callback) {
        p.cb_eval = own_callback;
        p.cb_eval_user_data = &layer;
    }
    struct llama_context *made = L(llama_init_from_model)(of, p);
    if (!made) die("no context");
    return made;
}

static struct llama_model *load(const char *path)
{
    struct llama_model_params p = L(llama_model_default_params)();
    p.use_extra_bufts = false;
    FILE *file = is_stream ? fopen(path, "rb") : NULL;
    struct llama_model *loaded =
        file ? L(llama_model_load_from_file_ptr)(file, p) : L(llama_model_load_from_file)(path, p);
    if (!loaded) die("no model");
    if (file) fclose(file);
    return loaded;
}

/* ---- passes ---- */

struct part {
    int slots[SLOTS], slots_count, from, to;
};

static int read_parts(const char *word, struct part *parts)
{
    int count = 0;
    for (const char *at = word; at && *at && count < SLOTS; at = strchr(at, ',')) {
        at += *at == ',';
        struct part *p = &parts[count++];
        p->slots_count = 0;
        do p->slots[p->slots_count++] = (int)strtol(at, (char **)&at, 10);
        while (*at++ == '+');
        p->from = (int)strtol(at, (char **)&at, 10);
        p->to = (int)strtol(at + 1, (char **)&at, 10);
    }
    return count;
}

static void put(struct llama_batch *b, const struct part *p, int position)
{
    int i = b->n_tokens++;
    b->token[i] = tap_host_token(text_of[p->slots[0]], position);
    b->pos[i] = position;
    b->n_seq_id[i] = p->slots_count;
    for (int k = 0; k < p->slots_count; k++) b->seq_id[i][k] = p->slots[k];
    b->logits[i] = 1;
}

static int run_large(const struct llama_batch *b)
{
    struct llama_batch_ext *large = L(llama_batch_ext_init)(context);
    for (int i = 0; i < b->n_tokens; i++) {
        int at = L(llama_batch_ext_add_token)(large, b->seq_id[i][0], b->token[i]);
        for (int k = 1; k < b->n_seq_id[i]; k++)
            L(llama_batch_ext_add_seq)(large, at, b->seq_id[i][k]);
        L(llama_batch_ext_set_pos)(large, at, &b->pos[i]);
        L(llama_batch_ext_set_output_logits)(large, at, true);
    }
    int result = L(llama_process)(context, LLAMA_PROCESS_TYPE_DECODE, large);
    L(llama_batch_ext_free)(large);
    return result;
}

/* Slots take turns, as servers have it. */
static void decode(const char *word)
{
    struct part parts[SLOTS];
    int count = read_parts(word, parts), left = 1;
    struct llama_batch b = L(llama_batch_init)(ROOM, 0, SLOTS);
    for (int turn = 0; left; turn++) {
        left = 0;
        for (int i = 0; i < count; i++)
            if (parts[i].from + turn < parts[i].to) {
                put(&b, &parts[i], parts[i].from + turn);
                left = 1;
            }
    }
    printf("decode %d\n", is_large ? run_large(&b) : L(llama_decode)(context, b));
    L(llama_batch_free)(b);
}

static void *decode_in_thread(void *word)
{
    decode(word);
    return NULL;
}

static void leave(char *word)
{
    pthread_t thread;
    leaves = 1;
    if (pthread_create(&thread, NULL, decode_in_thread, word) != 0) die("no thread");
    pthread_join(thread, NULL);
    leaves = 0;
}

static void plain(int count)
{
    static int at;
    llama_token tokens[ROOM];
    for (int i = 0; i < count; i++) tokens[i] = tap_host_token(text_of[0], at++);
    printf("decode %d\n", L(llama_decode)(context, L(llama_batch_get_one)(tokens, count)));
}

static void embed(int count)
{
    int width = L(llama_model_n_embd)(model);
    struct llama_batch b = L(llama_batch_init)(count, width, 1);
    for (int i = 0; i < count * width; i++) b.embd[i] = (float)(i % 7) / 7;
    for (int i = 0; i < count; i++) {
        b.pos[i] = i;
        b.n_seq_id[i] = 1;
        b.seq_id[i][0] = 0;
        b.logits[i] = 0;
    }
    b.n_tokens = count;
    printf("decode %d\n", L(llama_decode)(context, b));
    L(llama_batch_free)(b);
}

static void four_tokens(struct llama_context *of)
{
    llama_token tokens[4] = {1, 2, 3, 4};
    if (L(llama_decode)(of, L(llama_batch_get_one)(tokens, 4)) != 0) die("no pass");
}

static void set_vector(int is_set)
{
    static float values[1 << 16];
    int width = L(llama_model_n_embd)(model), layers = L(llama_model_n_layer)(model);
    for (int i = 0; i < width * (layers - 1); i++) values[i] = (float)(i % 5);
    if (L(llama_set_adapter_cvec)(context, is_set ? values : NULL, (size_t)(width * (layers - 1)),
                                  width, 1, layers - 1) != 0)
        die("no vector");
}

static void set_lora(const char *path)
{
    struct llama_adapter_lora *lora = L(llama_adapter_lora_init)(model, path);
    float scale = 1;
    if (!lora || L(llama_set_adapters_lora)(context, &lora, 1, &scale) != 0) die("no LoRA");
}

static void warm(void)
{
    void (*set_warmup)(struct llama_context *, bool) =
        (void (*)(struct llama_context *, bool))dlsym(RTLD_DEFAULT, "llama_set_warmup");
#ifdef TAP_HOST_LATE
    set_warmup = (void (*)(struct llama_context *, bool))dlsym(library, "llama_set_warmup");
#endif
    set_warmup(context, true);
    four_tokens(context);
    L(llama_memory_clear)(L(llama_get_memory)(context), true);
    set_warmup(context, false);
}

/* ---- words ---- */

static void keep_state(int slot)
{
    state[slot].size = L(llama_state_seq_get_size)(context, slot);
    state[slot].bytes = malloc(state[slot].size);
    L(llama_state_seq_get_data)(context, state[slot].bytes, state[slot].size, slot);
}

static void change_memory(const char *word, const int n[4])
{
    llama_memory_t memory = L(llama_get_memory)(context);
    if (!strcmp(word, "remove") && !L(llama_memory_seq_rm)(memory, n[0], n[1], n[2]))
        die("nothing could be removed");
    if (!strcmp(word, "shift")) L(llama_memory_seq_add)(memory, n[0], n[1], n[2], n[3]);
    if (!strcmp(word, "divide")) L(llama_memory_seq_div)(memory, n[0], n[1], n[2], n[3]);
    if (!strcmp(word, "copy")) L(llama_memory_seq_cp)(memory, n[0], n[1], -1, -1);
    if (!strcmp(word, "keep")) L(llama_memory_seq_keep)(memory, n[0]);
    if (!strcmp(word, "clear")) L(llama_memory_clear)(memory, true);
    if (!strcmp(word, "save")) keep_state(n[0]);
    if (!strcmp(word, "load") &&
        !L(llama_state_seq_set_data)(context, state[n[0]].bytes, state[n[0]].size, n[1]))
        die("no state");
}

static void in_child(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        four_tokens(context);
        _exit(0);
    }
    int status;
    if (waitpid(pid, &status, 0) != pid || status != 0) die("the child failed");
}

static void elsewhere(struct llama_model *of, int embeds)
{
    struct llama_context *beside = make_context(of, embeds);
    four_tokens(beside);
    L(llama_free)(beside);
}

static void await_file(const char *path)
{
    for (int i = 0; i < 6000 && access(path, F_OK) != 0; i++) usleep(10000);
}

static void reload(const char *path)
{
    L(llama_free)(context);
    L(llama_model_free)(model);
    model = load(path);
    context = make_context(model, 0);
}

static void obey(char *word, const char *path)
{
    int n[4] = {0};
    char *rest = strchr(word, ':');
    if (rest) *rest++ = '\0';
    if (rest) sscanf(rest, "%d:%d:%d:%d", &n[0], &n[1], &n[2], &n[3]);
    if (!strcmp(word, "large")) is_large = 1;
    if (!strcmp(word, "text")) text_of[n[0]] = n[1];
    if (!strcmp(word, "decode")) decode(rest);
    if (!strcmp(word, "leave")) leave(rest);
    if (!strcmp(word, "plain")) plain(n[0]);
    if (!strcmp(word, "embed")) embed(n[0]);
    if (!strcmp(word, "vector")) set_vector(n[0]);
    if (!strcmp(word, "lora")) set_lora(rest);
    if (!strcmp(word, "adapters")) L(llama_set_adapters_lora)(context, NULL, 0, NULL);
    if (!strcmp(word, "warm")) warm();
    if (!strcmp(word, "stop")) stops = 1;
    if (!strcmp(word, "go")) stops = 0;
    if (!strcmp(word, "other")) elsewhere(load(rest), 0);
    if (!strcmp(word, "embedding")) elsewhere(model, 1);
    if (!strcmp(word, "child")) in_child();
    if (!strcmp(word, "crash")) abort();
    if (!strcmp(word, "exit")) exit(0);
    if (!strcmp(word, "until")) await_file(rest);
    if (!strcmp(word, "reload")) reload(path);
    if (!strcmp(word, "again")) {
        L(llama_free)(context);
        context = make_context(model, 0);
    }
    change_memory(word, n);
}

#ifdef TAP_HOST_PART
#define main tap_host_main
int main(int argc, char **argv);
#endif

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
#ifdef TAP_HOST_LATE
    library = dlopen(getenv("TAP_HOST_LIBRARY"), RTLD_NOW | RTLD_LOCAL);
    if (!library) die(dlerror());
#endif
    L(llama_log_set)(quiet, NULL);
    L(llama_backend_init)();
    if (argc < 2) die("no model");
    for (int i = 2; i < argc; i++) has_callback |= strcmp(argv[i], "own") == 0;
    for (int i = 2; i < argc; i++) is_stream |= strcmp(argv[i], "stream") == 0;
    model = load(argv[1]);
    context = make_context(model, 0);
    for (int i = 2; i < argc; i++) obey(argv[i], argv[1]);
    if (has_callback) printf("asked %d, saw %d\n", seen_asks, seen_values);
    if (getenv("LD_PRELOAD") || getenv("LD_AUDIT") || getenv("SLUICE_TAP_STREAM"))
        printf("the environment has the tap\n");
    L(llama_free)(context);
    L(llama_model_free)(model);
    return 0;
}
