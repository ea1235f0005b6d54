/* `sluice features export`: a feature index in the layouts of other tools. */
#include "inspect/export/features_export.h"
#include "base/err.h"
#include "base/json_put.h"
#include "cli/commands.h"
#include "cli/pace.h"
#include "cli/place.h"
#include "engine/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct job {
    const struct options *options;
    const struct features_layout *layout;
    struct index index;
    struct labels labels;
    struct features_export export;
    char set[SUBJECT_NAME_BYTES];
    struct place place;
    uint32_t *features;
    uint64_t count, written; /* features of all indexes */
};

/* ---- which features ---- */

static int not_a_list(const struct job *job, const char *at)
{
    return err_set(ERR_USAGE,
                   "--features: %.40s is no feature or range of %s; HINT: it has 0 to %u, as "
                   "5,17,100-199",
                   at, job->index.folder, job->index.facts.features - 1);
}

/* "5,17,100-199": a mark for each. */
static int mark(const struct job *job, const char *list, uint8_t *wanted)
{
    for (const char *at = list;; at++) {
        char *end;
        const char *begin = at;
        if (*at < '0' || *at > '9') return not_a_list(job, begin);
        unsigned long long first = strtoull(at, &end, 10), last = first;
        if (*end == '-') {
            at = end + 1;
            if (*at < '0' || *at > '9') return not_a_list(job, begin);
            last = strtoull(at, &end, 10);
        }
        if ((*end && *end != ',') || first > last || last >= job->index.facts.features)
            return not_a_list(job, begin);
        memset(wanted + first, 1, last - first + 1);
        at = end;
        if (!*at) return ERR_OK;
    }
}

static int choose(struct job *job)
{
    const char *list = options_get(job->options, "features");
    uint32_t features = job->index.facts.features;
    uint8_t *wanted = calloc((size_t)features + 1, 1);
    int result = ERR_OK;
    job->features = malloc(((size_t)features + 1) * sizeof *job->features);
    if (!wanted || !job->features)
        result = err_set(ERR_NOMEM, "no memory for a list");
    else if (list)
        result = mark(job, list, wanted);
    else
        memset(wanted, 1, features);
    for (uint32_t f = 0; f < features && result == ERR_OK; f++)
        if (wanted[f]) job->features[job->export.count++] = f;
    free(wanted);
    return result;
}

/* ---- options ---- */

static int take_layout(struct job *job)
{
    const char *to = options_get(job->options, "to");
    char names[128];
    size_t used = 0;
    job->layout = to ? features_layout(to) : NULL;
    if (job->layout) return ERR_OK;
    for (int i = 0; i < FEATURES_LAYOUTS; i++)
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "",
                                 features_layouts[i].name);
    if (!to) return err_set(ERR_USAGE, "--to is missing; HINT: --to one of %s", names);
    return err_set(ERR_USAGE, "--to %.40s: there is no such layout; HINT: one of %s", to, names);
}

/* As the other tools name models and SAEs: without the ending of a file. */
static int take_names(struct job *job)
{
    const struct index_facts *facts = &job->index.facts;
    const char *model = options_get(job->options, "model-name");
    const char *name = options_get(job->options, "name");
    long long layer;
    int result = options_number(job->options, "layer", 0, 65535, -1, &layer);
    snprintf(job->set, sizeof job->set, "%s", name ? name : facts->name);
    if (!job->set[0] || strchr(job->set, '/'))
        return err_set(ERR_USAGE, "--name %.40s is empty or has a slash", job->set);
    job->export.index = &job->index;
    job->export.labels = &job->labels;
    job->export.model = model ? model : facts->model;
    job->export.set = job->set;
    job->export.layer = (int)layer;
    job->export.with_pages = options_get(job->options, "pages") != NULL;
    if (!utf8_valid(job->set, strlen(job->set)) ||
        !utf8_valid(job->export.model, strlen(job->export.model)))
        return err_set(ERR_USAGE, "--name and --model-name are no UTF-8");
    if (result == ERR_OK && job->export.with_pages &&
        job->layout->write != features_export_circuit_tracer)
        return err_set(ERR_USAGE, "--pages is for circuit-tracer alone");
    return result;
}

/* ---- what is told ---- */

static void progress(void *arg, uint64_t done, uint64_t all)
{
    if (pace_due(arg, 1, 0)) pace_tell(arg, 0, "%" PRIu64 " of %" PRIu64 " features", done, all);
}

static void say_neuronpedia(const char *dir, const char *quoted)
{
    (void)dir;
    printf("upload it, with NEURONPEDIA_API_KEY set, in Python:\n"
           "import glob, json\n"
           "from neuronpedia.requests.feature_request import FeatureRequest\n"
           "for file in sorted(glob.glob(%s + \"/batch-*.json\")):\n"
           "    FeatureRequest().send_request(method=\"POST\", uri=\"upload-batch\", "
           "json=json.load(open(file)))\n",
           quoted);
}

static void say_delphi(const char *dir, const char *quoted)
{
    (void)dir;
    printf("load it, in Python:\n"
           "from delphi.config import ConstructorConfig, SamplerConfig\n"
           "from delphi.latents import LatentDataset\n"
           "latents = LatentDataset(%s + \"/latents\", SamplerConfig(), ConstructorConfig())\n",
           quoted);
}

static void say_sae_dashboard(const char *dir, const char *quoted)
{
    (void)quoted;
    printf("make it what Neuronpedia imports, in its utils/neuronpedia-utils:\n"
           "python neuronpedia_utils/convert-saedashboard-to-neuronpedia-export.py "
           "--saedashboard-output-dir='%s'\n",
           dir);
}

static void say_circuit_tracer(const char *dir, const char *quoted)
{
    (void)quoted;
    printf(
        "put it beside the weights that `sluice export --to circuit-tracer` wrote, and both onto "
        "a hub:\ncp -r '%s/features' WEIGHTS/\n",
        dir);
}

static void say_next(const struct job *job)
{
    static const struct {
        int (*write)(struct features_export *x, const char *folder);
        void (*say)(const char *dir, const char *quoted);
    } lines[] = {{features_export_sae_dashboard, say_sae_dashboard},
                 {features_export_neuronpedia, say_neuronpedia},
                 {features_export_delphi, say_delphi},
                 {features_export_circuit_tracer, say_circuit_tracer}};
    json_t *text = json_string(job->place.dir);
    char *quoted = text ? json_dumps(text, JSON_ENCODE_ANY) : NULL;
    json_decref(text);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (lines[i].write == job->layout->write)
            lines[i].say(job->place.dir, quoted ? quoted : "\"...\"");
    free(quoted);
}

static void say(const struct job *job)
{
    size_t indexes = job->options->arguments_count;
    if (!options_get(job->options, "json")) {
        printf("%s: %" PRIu64 " features of %s%s for %s, %" PRIu64 " of which fire\n",
               job->place.dir, job->count, job->set, indexes > 1 ? " and others" : "",
               job->layout->name, job->written);
        say_next(job);
        return;
    }
    json_t *o = json_object();
    json_put_text(o, "folder", job->place.dir);
    json_put_text(o, "layout", job->layout->name);
    json_put_count(o, "indexes", indexes);
    json_put_count(o, "features", job->count);
    json_put_count(o, "firing_features", job->written);
    json_dumpf(o, stdout, JSON_INDENT(1));
    putchar('\n');
    json_decref(o);
}

/* ---- the whole ---- */

static int write_one(struct job *job)
{
    struct pace pace = {0};
    struct features_export *x = &job->export;
    x->count = x->written = 0;
    x->progress = progress;
    x->arg = &pace;
    int result = take_names(job);
    if (result == ERR_OK) result = choose(job);
    x->features = job->features;
    if (result == ERR_OK) result = job->layout->write(x, job->place.folder);
    pace_end(&pace);
    job->count += x->count;
    job->written += x->written;
    free(job->features);
    job->features = NULL;
    return result;
}

static int open_one(struct job *job, const char *folder)
{
    int result = index_open(folder, &job->index);
    if (result != ERR_OK) return result;
    result = labels_read(folder, job->index.facts.features, &job->labels);
    if (result == ERR_OK) result = write_one(job);
    labels_free(&job->labels);
    index_close(&job->index);
    return result;
}

/* FILE, and those behind DIR. */
static int write_all(struct job *job)
{
    const struct options *o = job->options;
    int result = place_begin(&job->place);
    for (size_t i = 0; i < o->arguments_count && result == ERR_OK; i++) {
        job->export.is_last = i + 1 == o->arguments_count;
        result = open_one(job, i == 0 ? o->file : o->arguments[i]);
    }
    return place_end(&job->place, result);
}

/* Before DIR is judged, which may be an index that was named in the wrong order. */
static int check_index(const char *folder)
{
    struct index_facts facts;
    int result = index_facts_read(folder, &facts);
    if (result == ERR_NOTFOUND)
        return err_set(ERR_USAGE, "%s is no feature index; HINT: sluice features export INDEX DIR",
                       folder);
    return result;
}

int features_export_command(const struct options *options, const struct config *config)
{
    struct job job = {.options = options, .export.layers = json_object()};
    (void)config;
    int result = take_layout(&job);
    if (result == ERR_OK && options->arguments_count > 1 && !job.layout->takes_several)
        result = err_set(ERR_USAGE, "%s has files of one index; HINT: export each into a folder",
                         job.layout->name);
    if (result == ERR_OK) result = check_index(options->file);
    if (result == ERR_OK) result = place_check(options->arguments[0], &job.place);
    if (result == ERR_OK) result = write_all(&job);
    if (result == ERR_OK) say(&job);
    json_decref(job.export.layers);
    return result;
}
