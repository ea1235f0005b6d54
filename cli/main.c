/* sluice: runs a whole pipeline on one machine, and looks at it. */
#include "base/err.h"
#include "base/streams.h"
#include "cli/commands.h"
#include "cli/live.h"
#include "cli/subject.h"
#include "cli/tap_steer.h"
#include "cli/up.h"
#include "engine/engine.h"
#include "runtime/harden.h"
#include "runtime/log.h"
#include "sae/sae.h"

#include <stdio.h>
#include <string.h>

static const struct option_spec up_options[] = {
    {"fresh", NULL, "remove what an earlier run of this stream left, and start over"},
    {"prometheus", "FILE",
     "keep the addresses of the processes in FILE (.json), for Prometheus's file_sd_configs"},
    {"only", "PROCESS",
     "start this host's part alone: broker, sink, capture (or capture-1, one of several), trainer, "
     "divided by commas; sink and trainer go together"},
};
enum { SWEEP_OPTIONS = 2, UP_OPTIONS = sizeof up_options / sizeof up_options[0] };
static const struct option_spec check_options[] = {
    {"only", "PROCESS", "of this host's part alone, as `up --only` starts it"},
    {"capacity", "ROWS",
     "all sizes, and what so many captured rows per second need: bytes per second of each link, "
     "how "
     "long the buffer lasts, what training must do"},
    {"width", "N",
     "values of each hook, where only the running model tells them: rows of a program, a corpus "
     "from standard input"},
    {"json", NULL, "print JSON"},
    {"live", NULL,
     "how the running stream is, for a monitoring system: one line, and exit code 0 OK, 1 WARNING, "
     "2 "
     "CRITICAL, 3 UNKNOWN. CRITICAL is one that does not run and is not finished, or a process "
     "that "
     "is missing"},
    {"warning", "NAME=LIMIT,...",
     "with --live, in place of these: still=1 (seconds for which the broker has said that the "
     "stream stands still), unready=30 (any process but a trainer that waits for rows), silent=5, "
     "disk=1 (seconds of waiting for "
     "room "
     "on a disk), shed=1 (percent of the rows captured), rejected=0.1, skipped=0.1 (percent of the "
     "steps, not finite), dead=50 (percent of the features), lost=1 (rows); off: none"},
    {"critical", "NAME=LIMIT,...",
     "the same of what is critical: still=30, unready=60, silent=15, disk=300, rejected=10, "
     "skipped=10"},
};
static const struct option_spec finish_options[] = {
    {"now", NULL,
     "captures take no more rows from now on; what is in the buffer is all that trainers get"},
};
static const struct option_spec keygen_options[] = {
    {"for", "NAME", "keys for another host's processes, in KEYS/NAME, to be copied there"},
    {"roles", "ROLES",
     "what it may do: produce, sink, report, status, divided by commas; produce,report,status "
     "unless told"},
};
static const struct option_spec status_options[] = {
    {"json", NULL, "print the broker's document as it is; without FILE, the list as JSON"},
};

static const struct option_spec export_options[] = {
    {"to", "LAYOUT",
     "saelens, sparsify, circuit-tracer (a clt, or transcoders of all layers), or hooks (our own, "
     "of "
     "what has several hooks)"},
    {"sae", "NAME",
     "of several autoencoders this one alone; or several names or patterns ('transcoder*'), "
     "divided by "
     "commas"},
    {"consumer", "NAME", "of several consumers this one's; the first declared one unless told"},
};

static const struct option_spec eval_options[] = {
    SUBJECT_OPTION_SPECS,
    {"corpus", "PATH",
     "text that it is evaluated on, or its name; a configuration's own, else `corpus`, unless "
     "told"},
    {"tokens", "N", "of the corpus, 16384 unless told; whole contexts"},
    {"context", "N", "tokens of a context, 128 unless told"},
    {"splice-first", NULL,
     "splice position 0 and rows beyond the norm limit too, as SAEBench does; trainings leave both "
     "out"},
    {"brief", NULL, "print one line for each, not the parts"},
    {"json", NULL, "print JSON"},
};
static const struct option_spec inspect_options[] = {
    SUBJECT_OPTION_SPECS,
    {"corpus", "PATH",
     "text whose tokens are read, or its name; a configuration's own rows, else `corpus`, unless "
     "told"},
    {"tokens", "N", "rows that are read at most, 1000000 unless told; 0: all"},
    {"context", "N", "tokens of a context; as the SAE tells, else 512, unless told"},
    {"memory", "SIZE", "memory to sort in, such as 512MiB; 1GiB unless told"},
    {"keep-records", NULL,
     "keep every row and what fired at it in INDEX/records, as `features export --to delphi` "
     "needs"},
    {"from-buffer", NULL,
     "read the rows that are in the run's buffer, also while it runs, and no corpus; with --tokens "
     "until there are so many"},
    {"no-promotes", NULL,
     "do not tell which tokens a feature promotes and suppresses, for which the whole model is "
     "run"},
};
static const struct option_spec browse_options[] = {
    {"address", "ADDRESS", "where to serve, 127.0.0.1:0 (any free port) unless told"},
    {"single-file", "HTML", "serve nothing: write a page of some features that needs nothing else"},
    {"features", "LIST", "which, such as 12,345"},
    SUBJECT_OPTION_SPECS,
};
static const struct option_spec list_options[] = {
    {"sort", "BY", "density (unless told), largest or feature"},
    {"top", "N", "features that are told, 20 unless told; 0: all"},
    {"json", NULL, "print JSON"},
};
static const struct option_spec best_options[] = {
    {"top", "N", "features that are told, 5 unless told"},
    {"contexts", "N", "contexts that are told of each, 3 unless told"},
    {"json", NULL, "print JSON"},
};
static const struct option_spec show_options[] = {
    {"contexts", "N", "contexts that are told, 8 unless told"},
    {"json", NULL, "print JSON"},
};
static const struct option_spec search_options[] = {
    {"top", "N", "features that are told, 20 unless told; 0: all"},
    {"json", NULL, "print JSON"},
};
static const struct option_spec json_options[] = {{"json", NULL, "print JSON"}};
static const struct option_spec features_export_options[] = {
    {"to", "LAYOUT",
     "sae-dashboard, neuronpedia, delphi (of an index with --keep-records) or circuit-tracer"},
    {"features", "LIST", "these alone, as 5,17,100-199; all unless told"},
    {"model-name", "NAME", "what the other tool calls the model; the model's file unless told"},
    {"name", "NAME", "what it is to call the SAE; the index's name for it unless told"},
    {"layer", "N", "the layer to show it at; as the hook's name tells unless told"},
    {"pages", NULL, "circuit-tracer: a file for each feature, too, for its local server"},
    {"json", NULL, "print JSON"},
};
static const struct option_spec steer_options[] = {
    SUBJECT_OPTION_SPECS,
    {"prompt", "TEXT", "the text that goes on"},
    {"features", "[SAE:]N=TIMESx",
     "hold a feature at so many times its largest activation, or at a value (123=30); several "
     "divided by commas, those of a --with as NAME:123=4x"},
    {"with", "[NAME=]SAE...",
     "steer by this one as well, at its own hook of the same model; may be given many times. NAME "
     "is "
     "what its features are told by; RUN#SAE is one of a run's several"},
    {"index", "DIR...",
     "the feature index that knows the largest activations and labels; of several autoencoders one "
     "each, given many times"},
    {"max", "[SAE:]N=VALUE", "the largest activations of these features, divided by commas"},
    {"additive", NULL, "add the value whatever the feature has, as a control vector does"},
    {"export", "FILE",
     "with --additive: write what is added as a GGUF control vector for llama.cpp's own programs; "
     "every position is steered then, as they do it"},
    {"positions", "WHICH",
     "all (unless told; but position 0, special tokens and rows beyond the SAE's norm limit), "
     "generated, every (those too), or A-B"},
    {"sweep", "STRENGTHS",
     "0,1,2,4,8x or default: what each strength does, KL, perplexity, repetition, beside random "
     "directions as long; features are told as N, or N=SHARE"},
    {"texts", "N", "of a sweep, for each strength, 4 unless told"},
    {"text", "FILE",
     "of a sweep, the text on which KL is measured beside the steered ones; what the model writes "
     "unsteered unless told"},
    {"svg", "FILE", "of a sweep, write it as a picture"},
    {"tokens", "N", "to generate, 60 unless told"},
    {"temperature", "T", "0.7 unless told; 0: always the likeliest token"},
    {"seed", "N", "of both texts, 0 unless told"},
    {"json", NULL, "print JSON"},
};
static const struct option_spec trace_options[] = {
    SUBJECT_OPTION_SPECS,
    {"prompt", "TEXT", "the text whose tokens are told"},
    {"next", "TEXT", "which features push towards this as the next token"},
    {"prompts", "FILE", "a prompt per line: which features tell these ..."},
    {"against", "FILE", "... from these"},
    {"index", "DIR", "the SAE's feature index, whose labels are told beside features' numbers"},
    {"top", "N", "features that are told: 3 for each token, else 20"},
    {"shuffles", "N", "of the permutation test, 1000 unless told"},
    {"seed", "N", "of its shuffles, 0 unless told"},
    {"html", "FILE", "write the prompt as a page that needs nothing else"},
    {"json", NULL, "print JSON"},
};

static const struct option_spec tap_options[] = {
    {"model", "TEXT",
     "tap the model whose path has this in it; the first that generates unless told"},
    {"hooks", "LIST", "points of the model, divided by commas, instead of FILE's stream.hooks"},
    TAP_STEER_OPTIONS,
};
static const struct option_spec tap_set_options[] = {
    {"share", "SHARE", "of the sequences (requests) that begin from now on, whole ones"},
    {"rows-per-second", "N", "at most, on average over a second; 0: no limit"},
    {"hooks", "LIST", "points of the model, divided by commas; begins another ring"},
    {"stream", "NAME", "hand rows to this stream, and switch it on"},
    TAP_STEER_OPTIONS,
    {"json", NULL, "print JSON"},
};

static const struct command_spec commands[] = {
    {.name = "up",
     .action = up_command,
     .meaning = "run the whole pipeline on this machine; run again, it goes on where it stopped",
     .options = up_options,
     .options_count = UP_OPTIONS},
    {.name = "sweep",
     .action = sweep_command,
     .meaning = "as up, and then how the autoencoders compare: a table, sweep.tsv, scaling.svg",
     .options = up_options,
     .options_count = SWEEP_OPTIONS},
    {.name = "finish",
     .action = finish_command,
     .meaning =
         "end a live run: its trainers let the learning rate fall, captures end, results are "
         "written",
     .options = finish_options,
     .options_count = 1},
    {.name = "check",
     .action = check_command,
     .meaning = "validate a pipeline without running it, and show its sizes; with --live, how the "
                "running one is",
     .options = check_options,
     .options_count = sizeof check_options / sizeof *check_options},
    {.name = "keygen",
     .action = keygen_command,
     .meaning = "make the keys that tcp endpoints need, in broker.keys",
     .options = keygen_options,
     .options_count = 2},
    {.name = "status",
     .action = status_command,
     .file_optional = 1,
     .meaning = "what a running pipeline is doing; without FILE, the streams on this machine, one "
                "per line",
     .options = status_options,
     .options_count = 1},
    {.name = "top",
     .action = top_command,
     .file_optional = 1,
     .meaning = "watch a running pipeline in the terminal: rates, buffer, processes, autoencoders, "
                "errors, and what slows it down; without FILE, the one that runs on this machine; "
                "h shows the keys, q quits"},
    {.name = "export",
     .action = export_command,
     .reads_weights = 1,
     .arguments = "DIR",
     .arguments_min = 1,
     .arguments_max = 1,
     .meaning = "write the weights of a run's newest checkpoint into DIR, also while the run goes "
                "on; FILE may be a checkpoint, a folder of checkpoints, or a run's folder, too",
     .options = export_options,
     .options_count = 3},
    {.name = "eval",
     .action = eval_command,
     .reads_weights = 1,
     .arguments = "MORE",
     .arguments_max = OPTIONS_MAX_ARGUMENTS,
     .meaning = "how true autoencoders are to the model: cross-entropy and KL with their "
                "reconstruction spliced in, L0, FVE, dead features; FILE and MORE as of trace",
     .options = eval_options,
     .options_count = sizeof eval_options / sizeof *eval_options},
    {.name = "steer",
     .action = steer_command,
     .reads_weights = 1,
     .meaning = "what the model says with features clamped, beside what it says by itself; FILE as "
                "of trace",
     .options = steer_options,
     .options_count = sizeof steer_options / sizeof *steer_options},
    {.name = "trace",
     .action = trace_command,
     .reads_weights = 1,
     .meaning = "which features fire at a prompt's tokens, tell two sets of prompts apart, or push "
                "towards a next token; FILE as of export, or a folder of SAELens or sparsify",
     .options = trace_options,
     .options_count = sizeof trace_options / sizeof *trace_options},
    {.name = "inspect",
     .action = inspect_command,
     .reads_weights = 1,
     .arguments = "INDEX",
     .arguments_min = 1,
     .arguments_max = 1,
     .meaning =
         "read a corpus once, and write a feature index into INDEX: where each feature fires, "
         "how often, beside which others; run again, it goes on; FILE as of trace",
     .options = inspect_options,
     .options_count = sizeof inspect_options / sizeof *inspect_options},
    {.name = "browse",
     .action = browse_command,
     .reads_weights = 1,
     .arguments = "SAE",
     .arguments_max = 1,
     .meaning =
         "show a feature index (FILE, its folder) in a web browser, for this user alone; with "
         "SAE, the run, checkpoint or folder that it is of, texts are run through the model",
     .options = browse_options,
     .options_count = sizeof browse_options / sizeof *browse_options},
    {.name = "features list",
     .action = features_list_command,
     .reads_weights = 1,
     .meaning = "the features of an index, a line each; here and below, FILE is its folder",
     .options = list_options,
     .options_count = sizeof list_options / sizeof *list_options},
    {.name = "features best",
     .action = features_best_command,
     .reads_weights = 1,
     .meaning = "a few features that are worth a first look, by a rule that is told",
     .options = best_options,
     .options_count = sizeof best_options / sizeof *best_options},
    {.name = "features show",
     .action = features_show_command,
     .reads_weights = 1,
     .arguments = "FEATURE",
     .arguments_min = 1,
     .arguments_max = 1,
     .meaning = "where a feature fires, most and less, with each token's value",
     .options = show_options,
     .options_count = sizeof show_options / sizeof *show_options},
    {.name = "features neighbours",
     .action = features_neighbours_command,
     .reads_weights = 1,
     .arguments = "FEATURE",
     .arguments_min = 1,
     .arguments_max = 1,
     .meaning = "which features fire at the same tokens, and which point the same way",
     .options = json_options,
     .options_count = 1},
    {.name = "features search",
     .action = features_search_command,
     .reads_weights = 1,
     .arguments = "TEXT",
     .arguments_min = 1,
     .arguments_max = 1,
     .meaning =
         "features with TEXT in their label, in the token at which they fire most, or in one of "
         "the ten that they promote most; those first that fire at it",
     .options = search_options,
     .options_count = sizeof search_options / sizeof *search_options},
    {.name = "features label",
     .action = features_label_command,
     .reads_weights = 1,
     .arguments = "FEATURE TEXT",
     .arguments_min = 2,
     .arguments_max = 2,
     .meaning =
         "call a feature TEXT, in the index's labels.tsv; an empty one takes its label away"},
    {.name = "features export",
     .action = features_export_command,
     .reads_weights = 1,
     .arguments = "DIR MORE",
     .arguments_min = 1,
     .arguments_max = OPTIONS_MAX_ARGUMENTS,
     .meaning =
         "write an index into DIR for sae-dashboard, neuronpedia, delphi or circuit-tracer; "
         "delphi and circuit-tracer take MORE indexes, of other layers; docs/EXPLORE.md goes on",
     .options = features_export_options,
     .options_count = sizeof features_export_options / sizeof *features_export_options},
    {.name = "tap list",
     .action = tap_list_command,
     .reads_weights = 1,
     .file_optional = 1,
     .usage = "[options]",
     .meaning = "which programs are tapped: what they capture, what they leave out, and who reads "
                "it; sockets of programs that died are removed",
     .options = json_options,
     .options_count = 1},
    {.name = "tap on",
     .action = tap_on_command,
     .reads_weights = 1,
     .file_optional = 1,
     .usage = "[PID|all]",
     .meaning = "capture from a tapped program (the only one, unless told)",
     .options = json_options,
     .options_count = 1},
    {.name = "tap off",
     .action = tap_off_command,
     .reads_weights = 1,
     .file_optional = 1,
     .usage = "[PID|all]",
     .meaning = "capture nothing from it; the program goes on, and what lies in its ring is read",
     .options = json_options,
     .options_count = 1},
    {.name = "tap set",
     .action = tap_set_command,
     .reads_weights = 1,
     .file_optional = 1,
     .usage = "[PID|all] [FILE] [options]",
     .arguments_max = 1,
     .meaning = "change what a tapped program (the only one, unless told) captures, and what it is "
                "steered by, while it runs; FILE tells all of it, and switches it on",
     .options = tap_set_options,
     .options_count = sizeof tap_set_options / sizeof *tap_set_options},
    {.name = "tap",
     .action = tap_command,
     .file_optional = 1,
     .takes_program = 1,
     .usage = "[FILE] [options] -- PROGRAM [ARGUMENT...]",
     .meaning =
         "run a program that uses libllama, as it is, and hand its activations to the stream "
         "of FILE (engine ring); without FILE it captures nothing before `tap set`. The exit "
         "code is the program's; 127: there is none of that name, 126: it cannot be run",
     .options = tap_options,
     .options_count = sizeof tap_options / sizeof *tap_options},
    {.name = "buffer info",
     .action = buffer_info_command,
     .meaning = "what lies in the shuffle buffer"},
    {.name = "buffer verify",
     .action = buffer_verify_command,
     .meaning =
         "check every record and slab of the buffer against its checksum, and say what follows; "
         "damage is reported to the sink, which sets the buffer aside and has what is still "
         "needed made again"},
    {.name = "buffer repair",
     .action = buffer_repair_command,
     .meaning =
         "where no sink runs, do what it would do: verify the buffer, set a damaged one aside "
         "beside it, and say what the next `sluice up` makes again"},
    {.name = "consumer list",
     .action = consumer_list_command,
     .meaning = "who draws from the buffer, and how far each is"},
    {.name = "consumer drop",
     .action = consumer_drop_command,
     .arguments = "NAME",
     .arguments_min = 1,
     .arguments_max = 1,
     .meaning = "forget a consumer that is gone for good; what it alone needed is then freed"},
};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

static const struct environment_spec environment[] = {
    {"SLUICE_PREPARED", ENGINE_PREPARED_MEANING},
    {"SLUICE_TAPS", "folder of the sockets of tapped programs (0700), for them and for sluice tap; "
                    "sluice/tap in XDG_RUNTIME_DIR or /run/user/UID, or /tmp/sluice-UID/tap, "
                    "unless told"},
};

static const struct program_spec program = {
    .name = "sluice",
    .summary = "stream a model's activations into sparse autoencoders that train meanwhile",
    .description =
        "Runs a pipeline that one file describes: capture, broker, sink and trainers, each a "
        "process of its own, with one progress line and a summary at the end. Ctrl-C drains it; "
        "run again, it goes on.\n\n"
        "Results go to standard output, progress and errors to standard error. Exit codes: 0 "
        "done, 1 failed at run time, 2 usage or configuration.",
    .commands = commands,
    .commands_count = COMMANDS,
    .environment = environment,
    .environment_count = sizeof environment / sizeof *environment,
    .examples = "sluice check run.yaml\n"
                "sluice up run.yaml\n"
                "sluice up run.yaml --fresh --set trainer.reuse=4\n"
                "sluice sweep sweep.yaml\n"
                "sluice status run.yaml\n"
                "sluice top run.yaml\n"
                "sluice check --live run.yaml --warning shed=5,dead=off\n"
                "sluice export run.yaml --to saelens ~/saes/mine\n"
                "sluice tap live.yaml -- llama-server -m model.gguf\n"
                "sluice tap set --share 0.05\n",
};

static int act(const struct options *options)
{
    struct config *config;
    const struct command_spec *command = options->command;
    if (!command || !command->takes_program) harden(); /* `check` and `up` open models, too */
    if (command && command->reads_weights && !options->print_config && !options->check)
        return command->action(options, NULL);
    if (!options->file && command && command->file_optional && !options->check)
        return options->sets_count == 0
                   ? command->action(options, NULL)
                   : err_set(ERR_USAGE, "--set is for a pipeline's FILE, and none is named");
    if (!options->file) return err_set(ERR_USAGE, "which pipeline? HINT: name its FILE");
    int result = config_load(options->file, options->sets, options->sets_count, &config);
    if (result != ERR_OK) return result == ERR_NOTFOUND ? ERR_USAGE : result;
    if (options->print_config) {
        result = config_print(config, stdout);
    } else if (options->check) {
        result = check_command(options, config);
    } else {
        result = command->action(options, config);
    }
    config_free(config);
    return result;
}

int main(int argc, char **argv)
{
    struct options options;
    int done = 0;
    streams_open();
    for (int i = 0; argc > 1 && i < COMMANDS; i++)
        if (commands[i].reads_weights && strcmp(argv[1], commands[i].name) == 0) {
            engine_threads_passive(argv); /* whoever else computes keeps its cores */
            sae_blas_wide(argv);          /* as trainers do: the same products to the last bit */
        }
    if (argc < 2) {
        options_write_help(&program, NULL, stderr);
        return 2;
    }
    int result = options_parse(&program, argc, argv, &options, &done);
    if (result == ERR_OK && !done && !options.file && options.print_config)
        result = config_print(NULL, stdout); /* only --print-config goes without a file */
    else if (result == ERR_OK && !done) {
        log_open("sluice", options.log_level);
        result = act(&options);
    }
    if (result == ERR_OK) result = options_end_output();
    if (!done && live_is_asked(argc, argv)) return live_end(result);
    if (result != ERR_OK) fprintf(stderr, "sluice: %s\n", err_text());
    return err_exit_code(result);
}
