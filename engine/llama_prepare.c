#include "engine/llama_prepare.h"

#include "base/err.h"
#include "base/fileio.h"
#include "engine/fingerprint.h"
#include "engine/llama_compare.h"
#include "engine/llama_file.h"
#include "engine/llama_folder.h"
#include "engine/llama_guard.h"
#include "engine/llama_quiet.h"
#include "engine/llama_record.h"
#include "engine/llama_trial.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <llama.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const double equal_within = 1e-5; /* of a row's norm */
static const double fve_warned = 0.99;   /* below which a change of type is a warning */

struct precision {
    const char *name;
    enum llama_ftype type;
    double bytes; /* a weight */
};

static const struct precision precisions[] = {
    {"f32", LLAMA_FTYPE_ALL_F32, 4.0},
    {"bf16", LLAMA_FTYPE_MOSTLY_BF16, 2.0},
    {"q8_0", LLAMA_FTYPE_MOSTLY_Q8_0, 34.0 / 32.0},
};
enum { PRECISIONS = sizeof precisions / sizeof precisions[0] };

/* One preparation. */
struct plan {
    const struct llama_prepare_options *o;
    char folder[PATH_MAX];
    struct llama_file_size whole, cut; /* all layers; those up to one above the highest hook */
    int32_t keep_layers;               /* of the cut; whole.layers where there is none */
    size_t widest;                     /* precision that is tried first */
};

static void tell(const struct plan *plan, int is_warning, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void tell(const struct plan *plan, int is_warning, const char *fmt, ...)
{
    char text[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (plan->o->watch->tell) plan->o->watch->tell(plan->o->watch->arg, is_warning, text);
}

static void tell_checking(const struct plan *plan, int is_checked)
{
    if (plan->o->watch->checking) plan->o->watch->checking(plan->o->watch->arg, is_checked);
}

static void tell_progress(void *arg, const char *sentence)
{
    tell(arg, 0, "%s", sentence);
}

/* ---- names ---- */

static int path_in(const struct plan *plan, char out[PATH_MAX], const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static int path_in(const struct plan *plan, char out[PATH_MAX], const char *fmt, ...)
{
    va_list args;
    int n = snprintf(out, PATH_MAX, "%s/", plan->folder);
    if (n < 0 || n >= PATH_MAX) return err_set(ERR_IO, "path too long: %s", plan->folder);
    va_start(args, fmt);
    int more = vsnprintf(out + n, (size_t)(PATH_MAX - n), fmt, args);
    va_end(args);
    if (more < 0 || more >= PATH_MAX - n) return err_set(ERR_IO, "path too long: %s", plan->folder);
    return ERR_OK;
}

static int model_path(const struct plan *plan, int32_t layers, const char *type, char out[PATH_MAX])
{
    return path_in(plan, out, "%016" PRIx64 "-layers%d-%s-llama%s.gguf", plan->o->source_hash,
                   layers, type, llama_version());
}

/* A record about the model `of` depends on the hooks and on the contexts' length, too. */
static int record_path(const struct plan *plan, int32_t layers, const char *of, char out[PATH_MAX])
{
    return path_in(plan, out, "%016" PRIx64 "-layers%d-%s-ctx%u-hooks%016" PRIx64 "-llama%s.json",
                   plan->o->source_hash, layers, of, plan->o->context_tokens,
                   llama_hooks_fingerprint(plan->o->hooks), llama_version());
}

/* ---- what fits ---- */

/* The header holds the vocabulary, which can take several megabytes. */
static const uint64_t header_bytes = 16u << 20;

static uint64_t file_bytes(uint64_t values, const struct precision *p)
{
    return (uint64_t)((double)values * p->bytes) + header_bytes;
}

/* SLUICE_PREPARED, else the type whose products are fastest here: bf16 beats f32 without AVX-512. */
static int widest(size_t *index)
{
    const char *wish = getenv("SLUICE_PREPARED");
    int has_avx512 =
        strstr(llama_print_system_info(), "AVX512 = 1") != NULL; /* and is built for it */
    *index = has_avx512 ? 0 : 1;
    if (!wish || !wish[0]) return ERR_OK;
    for (*index = 0; *index < PRECISIONS; (*index)++)
        if (strcmp(wish, precisions[*index].name) == 0) return ERR_OK;
    return err_set(ERR_USAGE, "SLUICE_PREPARED is '%.40s'; it may be f32, bf16 or q8_0", wish);
}

static int choose(const struct plan *plan, uint64_t values, const struct precision **chosen)
{
    uint64_t memory = llama_folder_memory_bytes();
    for (size_t i = plan->widest; i < PRECISIONS; i++) {
        uint64_t bytes = file_bytes(values, &precisions[i]);
        if (bytes > plan->o->limit_bytes || (memory > 0 && bytes > memory / 2)) continue;
        *chosen = &precisions[i];
        return ERR_OK;
    }
    return err_set(ERR_NOSPC,
                   "a prepared model would take %" PRIu64 " MB even as q8_0: more than "
                   "capture.cache_size or half of the free memory; HINT: raise it, or set "
                   "capture.exact_model: true",
                   file_bytes(values, &precisions[2]) >> 20);
}

/* ---- making one ---- */

struct quantize_task {
    const struct plan *plan;
    const char *target;
    uint64_t bytes; /* that the target will have at most */
    int32_t keep_layers;
    const struct precision *precision; /* NULL: weights are copied as they are */
};

/* To llama.cpp a full disk, a quota or a limit of file sizes looks like a model that it cannot
 * write, so the room is taken before it begins. */
static int take_room(const char *target, uint64_t bytes)
{
    int fd = open(target, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return err_set(ERR_IO, "cannot make %s: %s", target, strerror(errno));
    int why = posix_fallocate(fd, 0, (off_t)bytes);
    close(fd);
    if (!why) return ERR_OK;
    return err_set(why == ENOSPC || why == EFBIG || why == EDQUOT ? ERR_NOSPC : ERR_IO,
                   "%s: there is no room for %" PRIu64 " MB: %s; HINT: make room (also: quota, "
                   "ulimit -f), set XDG_CACHE_HOME, or set capture.exact_model: true",
                   target, bytes >> 20, strerror(why));
}

static int quantize(struct llama_trial *trial, void *arg, void *answer)
{
    const struct quantize_task *task = arg;
    const struct llama_prepare_options *o = task->plan->o;
    int32_t layers = task->plan->whole.layers, n = 0;
    struct llama_model_quantize_params params = llama_model_quantize_default_params();
    int32_t *pruned = malloc((size_t)(layers + 1) * sizeof *pruned);
    (void)trial;
    (void)answer;
    if (!pruned) return err_set(ERR_NOMEM, "no memory to prepare %s", o->source);
    int result = take_room(task->target, task->bytes);
    if (result != ERR_OK) return result; /* the process ends */
    for (int32_t layer = task->keep_layers; layer < layers; layer++) pruned[n++] = layer;
    pruned[n] = -1;
    params.nthread = (int32_t)o->threads;
    params.only_copy = task->precision == NULL;
    if (task->precision) params.ftype = task->precision->type;
    params.allow_requantize = true;
    params.prune_layers = n > 0 ? pruned : NULL;
    llama_quiet_start();
    llama_quiet_clear();
    uint32_t failed = llama_model_quantize(o->source, task->target, &params);
    free(pruned);
    if (!failed) return ERR_OK;
    const char *reason = llama_quiet_error();
    return err_set(ERR_FORMAT, "llama.cpp cannot make it%s%s", reason[0] ? ": " : "", reason);
}

/* Write the model's first keep_layers layers to `target`, which has `bytes` at most. A file that
 * does not fit looks to llama.cpp like any other failure, so the disk is asked. */
static int write_model(const struct plan *plan, const char *target, int32_t keep_layers,
                       const struct precision *p, uint64_t bytes)
{
    struct quantize_task task = {plan, target, bytes, keep_layers, p};
    char unused;
    int result = llama_folder_make_room(plan->folder, bytes, plan->o->limit_bytes);
    if (result != ERR_OK) return result;
    result = llama_trial_run("preparing the model", quantize, &task, &unused, sizeof unused,
                             tell_progress, (void *)plan);
    if (result == ERR_FORMAT && llama_folder_disk_bytes(plan->folder) < (4u << 20))
        result = err_set(ERR_NOSPC, "%s: the disk is full; HINT: make room", plan->folder);
    if (result != ERR_OK) unlink(target);
    return result;
}

/* ---- the proof ---- */

static struct llama_compare_options comparison(const struct plan *plan, const char *other)
{
    return (struct llama_compare_options){.original = plan->o->source,
                                          .other = other,
                                          .hooks = plan->o->hooks,
                                          .context_tokens = plan->o->context_tokens,
                                          .threads = plan->o->threads,
                                          .prepend_bos = plan->o->prepend_bos,
                                          .text = plan->o->text,
                                          .text_arg = plan->o->text_arg,
                                          .tell = tell_progress,
                                          .tell_arg = (void *)plan};
}

static uint64_t cut_file_bytes(const struct plan *plan)
{
    return plan->cut.bytes + header_bytes;
}

/* Cut the model without another type and compare. What llama.cpp cannot run is a verdict, too. */
static int prove(const struct plan *plan, struct llama_verdict *v)
{
    char path[PATH_MAX];
    struct llama_distance d;
    int result = path_in(plan, path, "%016" PRIx64 "-layers%d-proof.gguf.tmp", plan->o->source_hash,
                         plan->keep_layers);
    if (result == ERR_OK)
        result = write_model(plan, path, plan->keep_layers, NULL, cut_file_bytes(plan));
    struct llama_compare_options options = comparison(plan, path);
    if (result == ERR_OK) result = llama_compare_proof(&options, &d);
    *v = (struct llama_verdict){0};
    if (result == ERR_OK) {
        v->rows = d.rows;
        v->largest = d.largest;
        v->is_equal = d.rows > 0 && d.largest <= equal_within;
    } else if (result == ERR_FORMAT || result == ERR_USAGE || result == ERR_MISMATCH) {
        v->largest = INFINITY;
        snprintf(v->why, sizeof v->why, "%s", err_text());
        result = ERR_OK;
    }
    unlink(path);
    return result;
}

static void tell_refused(const struct plan *plan, const char *why)
{
    uint64_t more = file_bytes(plan->whole.values, &precisions[0]) -
                    file_bytes(plan->cut.values, &precisions[0]);
    tell(
        plan, 1,
        "the layers above the hooks stay in the model: %s. The graph is stopped at the hooks all "
        "the same, so rows are made as fast; %d layers, not %d, are kept, which costs %.1f MB more "
        "disk at most, and memory that the kernel may take back",
        why, plan->whole.layers, plan->keep_layers, (double)more / 1e6);
}

static void tell_verdict(const struct plan *plan, const struct llama_verdict *v)
{
    char why[600];
    if (v->is_equal) {
        tell(plan, 0,
             "the model is cut above its hooks (%d of %d layers): proven to compute the same rows "
             "on "
             "%d contexts of %u tokens (largest difference %.2g of a row's norm)",
             plan->keep_layers, plan->whole.layers, COMPARE_PROOF_CONTEXTS, plan->o->context_tokens,
             v->largest);
        return;
    }
    if (v->why[0])
        snprintf(why, sizeof why, "without them it does not run (%s)", v->why);
    else
        snprintf(why, sizeof why,
                 "without them it computes other rows (off by %.3g %% of their norm)",
                 100 * v->largest);
    tell_refused(plan, why);
}

/* Whether there is a cut, and the cap has room to prove it where that was not done yet. */
static int may_cut(const struct plan *plan, int is_known)
{
    return plan->keep_layers < plan->whole.layers &&
           (is_known || cut_file_bytes(plan) <= plan->o->limit_bytes);
}

/* Whether the cut may be used. */
static int is_proven(const struct plan *plan, int *proven)
{
    char record[PATH_MAX];
    struct llama_verdict verdict;
    *proven = 0;
    if (plan->keep_layers == plan->whole.layers) return ERR_OK;
    int result = record_path(plan, plan->keep_layers, "cut", record);
    if (result != ERR_OK) return result;
    int is_known = llama_record_verdict(record, &verdict);
    if (!may_cut(plan, is_known)) {
        tell_refused(plan, "capture.cache_size is too small for the proof that the model computes "
                           "the same without them");
        return ERR_OK;
    }
    if (!is_known) {
        tell_checking(plan, 1);
        result = prove(plan, &verdict);
        tell_checking(plan, 0);
        if (result == ERR_OK) result = llama_record_keep_verdict(record, &verdict);
        if (result != ERR_OK) return result;
    }
    tell_verdict(plan, &verdict);
    *proven = verdict.is_equal;
    return ERR_OK;
}

/* ---- the type ---- */

static void tell_fidelity(const struct plan *plan, const struct precision *p,
                          const struct llama_fidelity *f)
{
    char fve[32];
    snprintf(fve, sizeof fve, isnan(f->fve) ? "- (all rows are the same)" : "%.6f", f->fve);
    tell(plan, f->fve < fve_warned,
         "the model's weights were turned from %s into %s: FVE of its rows against the original's "
         "%s, on %" PRIu64 " rows of %s (capture.exact_model: true uses the file as it is)",
         plan->o->source_precision, p->name, fve, f->rows, f->is_text ? "text" : "random tokens");
}

/* How far the prepared model's rows are; measured once. */
static int measure(const struct plan *plan, int32_t layers, const struct precision *p,
                   const char *path, double *fve)
{
    char record[PATH_MAX];
    struct llama_fidelity f;
    struct llama_distance d;
    *fve = 1;
    if (strcmp(p->name, plan->o->source_precision) == 0) return ERR_OK;
    int result = record_path(plan, layers, p->name, record);
    if (result != ERR_OK) return result;
    if (!llama_record_fidelity(record, &f)) {
        struct llama_compare_options options = comparison(plan, path);
        tell_checking(plan, 1);
        result = llama_compare_text(&options, &d);
        tell_checking(plan, 0);
        f = (struct llama_fidelity){d.rows, d.fve, d.is_text};
        if (result == ERR_OK) result = llama_record_keep_fidelity(record, &f);
        if (result != ERR_OK) return result;
    }
    tell_fidelity(plan, p, &f);
    *fve = f.fve;
    return ERR_OK;
}

static void use_source(const struct plan *plan, struct llama_prepared *prepared)
{
    snprintf(prepared->path, sizeof prepared->path, "%s", plan->o->source);
    prepared->hash = plan->o->source_hash;
    prepared->layers_kept = plan->whole.layers;
    prepared->fve = 1;
}

static int make(const struct plan *plan, int32_t layers, const struct precision *p,
                const char *path)
{
    char temporary[PATH_MAX];
    int n = snprintf(temporary, sizeof temporary, "%s.tmp", path);
    if (n < 0 || (size_t)n >= sizeof temporary) return err_set(ERR_IO, "path too long: %s", path);
    uint64_t values = layers < plan->whole.layers ? plan->cut.values : plan->whole.values;
    uint64_t bytes = file_bytes(values, p);
    if (plan->o->watch->preparing) plan->o->watch->preparing(plan->o->watch->arg, temporary, bytes);
    int result = write_model(plan, temporary, layers, p, bytes);
    if (result == ERR_OK) result = llama_folder_keep(temporary, path);
    if (result != ERR_OK) unlink(temporary);
    return result;
}

/* What no other type can be made of runs as it is. */
static int give_up_type(const struct plan *plan, int result, struct llama_prepared *prepared)
{
    if (result != ERR_FORMAT && result != ERR_USAGE && result != ERR_MISMATCH) return result;
    tell(plan, 1, "the model's file is used as it is, since no faster form works: %s", err_text());
    unlink(prepared->path);
    use_source(plan, prepared);
    return ERR_OK;
}

static int find_or_make(const struct plan *plan, int32_t layers, const struct precision *p,
                        struct llama_prepared *prepared)
{
    int result = model_path(plan, layers, p->name, prepared->path);
    if (result != ERR_OK) return result;
    prepared->layers_kept = layers;
    prepared->hash = fingerprint_add_u64(plan->o->source_hash, (uint64_t)layers);
    prepared->hash = fingerprint_add_text(prepared->hash, p->name);
    prepared->hash = fingerprint_add_text(prepared->hash, llama_version());
    if (utimensat(AT_FDCWD, prepared->path, NULL, 0) != 0) /* it is there, and now in use */
        result = make(plan, layers, p, prepared->path);
    if (result == ERR_OK) result = measure(plan, layers, p, prepared->path, &prepared->fve);
    return result == ERR_OK ? ERR_OK : give_up_type(plan, result, prepared);
}

/* ---- all of it ---- */

static int plan_for(const struct llama_prepare_options *o, struct plan *plan)
{
    int32_t top = llama_hooks_top_layer(o->hooks);
    *plan = (struct plan){.o = o};
    int n = snprintf(plan->folder, sizeof plan->folder, "%s/prepared", o->cache_dir);
    if (n < 0 || (size_t)n >= sizeof plan->folder)
        return err_set(ERR_IO, "path too long: %s", o->cache_dir);
    int result = widest(&plan->widest);
    if (result == ERR_OK) result = llama_file_size(o->source, -1, &plan->whole);
    plan->keep_layers = top < 0 || top + 2 > plan->whole.layers ? plan->whole.layers : top + 2;
    if (result == ERR_OK) result = llama_file_size(o->source, plan->keep_layers, &plan->cut);
    return result;
}

static int is_same_type(const struct plan *plan, int32_t layers, const struct precision *p)
{
    return layers == plan->whole.layers && strcmp(p->name, plan->o->source_precision) == 0;
}

static int prepare(const struct plan *plan, struct llama_prepared *prepared)
{
    const struct precision *p = NULL;
    int proven, result = choose(plan, plan->cut.values, &p);
    if (result == ERR_OK) result = is_proven(plan, &proven);
    if (result != ERR_OK) return result;
    int32_t layers = proven ? plan->keep_layers : plan->whole.layers;
    if (!proven && choose(plan, plan->whole.values, &p) != ERR_OK) {
        if (plan->keep_layers == plan->whole.layers) return ERR_NOSPC;
        tell(plan, 1, "the model's file is used as it is: %s", err_text());
        use_source(plan, prepared);
    } else if (is_same_type(plan, layers, p)) {
        use_source(plan, prepared);
    } else {
        result = find_or_make(plan, layers, p, prepared);
    }
    return result;
}

int llama_prepare(const struct llama_prepare_options *options, struct llama_prepared *prepared)
{
    struct plan plan;
    int lock, result = plan_for(options, &plan);
    if (result == ERR_OK) result = dir_make(plan.folder, 0700);
    if (result == ERR_OK) result = llama_folder_lock(plan.folder, &lock);
    if (result != ERR_OK) return result;
    result = prepare(&plan, prepared);
    close(lock);
    return result;
}

/* ---- foretelling ---- */

/* Two contexts of keys and values (16 bit, as wide as a hook at most), the rows of both models, and
 * what llama.cpp computes in. */
static uint64_t proof_memory_bytes(const struct plan *plan)
{
    const struct llama_hooks *hooks = plan->o->hooks;
    uint64_t width = 0, widest = 0, tokens = plan->o->context_tokens;
    for (uint32_t h = 0; h < hooks->count; h++) {
        width += hooks->hook[h].width;
        if (hooks->hook[h].width > widest) widest = hooks->hook[h].width;
    }
    uint64_t layers = (uint64_t)plan->whole.layers + (uint64_t)plan->keep_layers;
    return layers * tokens * widest * 2 * sizeof(uint16_t) + 2 * tokens * width * sizeof(float) +
           ((uint64_t)128 << 20);
}

static int is_there(const struct plan *plan, int32_t layers, const struct precision *p)
{
    char model[PATH_MAX], record[PATH_MAX];
    struct llama_fidelity f;
    if (model_path(plan, layers, p->name, model) != ERR_OK || access(model, R_OK) != 0) return 0;
    if (strcmp(p->name, plan->o->source_precision) == 0) return 1;
    return record_path(plan, layers, p->name, record) == ERR_OK &&
           llama_record_fidelity(record, &f);
}

int llama_prepare_forecast(const struct llama_prepare_options *options,
                           struct engine_forecast *forecast)
{
    struct plan plan;
    struct llama_verdict verdict;
    const struct precision *p = NULL;
    char record[PATH_MAX];
    struct engine_forecast f = {0};
    int result = plan_for(options, &plan);
    if (result == ERR_OK) result = choose(&plan, plan.cut.values, &p);
    if (result == ERR_OK) result = record_path(&plan, plan.keep_layers, "cut", record);
    if (result != ERR_OK) return result;
    int is_known = llama_record_verdict(record, &verdict);
    int wants_cut = may_cut(&plan, is_known);
    int is_cut = wants_cut && (!is_known || verdict.is_equal);
    f.layers = plan.whole.layers;
    f.layers_kept = is_cut ? plan.keep_layers : plan.whole.layers;
    int fits = is_cut || choose(&plan, plan.whole.values, &p) == ERR_OK;
    snprintf(f.precision, sizeof f.precision, "%s", fits ? p->name : options->source_precision);
    if (fits && !is_same_type(&plan, f.layers_kept, p))
        f.prepared_bytes = file_bytes(is_cut ? plan.cut.values : plan.whole.values, p);
    f.is_ready =
        (!wants_cut || is_known) && (f.prepared_bytes == 0 || is_there(&plan, f.layers_kept, p));
    if (!f.is_ready) {
        uint64_t cut = wants_cut && !is_known ? cut_file_bytes(&plan) : 0;
        f.disk_bytes = cut > f.prepared_bytes ? cut : f.prepared_bytes;
        f.memory_bytes = proof_memory_bytes(&plan);
        f.mapped_bytes = plan.whole.bytes + f.disk_bytes;
    }
    *forecast = f;
    return ERR_OK;
}
