#include "config/table.h"

#include "proto/ring.h"

#include <string.h>

static const struct config_choice dtypes[] = {
    {"bf16", DTYPE_BF16}, {"f32", DTYPE_F32}, {"int8", DTYPE_INT8}, {NULL, 0}};
static const struct config_choice codecs[] = {{"none", CODEC_NONE}, {"lz4", CODEC_LZ4}, {NULL, 0}};
static const struct config_choice policies[] = {
    {"block", CONFIG_BLOCK}, {"shed", CONFIG_SHED}, {NULL, 0}};
static const struct config_choice engines[] = {{"llama", CONFIG_LLAMA},
                                               {"synthetic", CONFIG_SYNTHETIC},
                                               {"files", CONFIG_FILES},
                                               {"ring", CONFIG_RING},
                                               {NULL, 0}};
static const struct config_choice bad_texts[] = {
    {"skip", CONFIG_SKIP}, {"fail", CONFIG_FAIL}, {NULL, 0}};
static const struct config_choice durabilities[] = {
    {"process", CONFIG_PROCESS}, {"power", CONFIG_POWER}, {NULL, 0}};
#define CHOICE(constant, name, ...) {#name, constant},
static const struct config_choice archs[] = {SAE_ARCH_TABLE(CHOICE){NULL, 0}};
static const struct config_choice activations[] = {{"auto", -1},
                                                   {"l1", SAE_L1},
                                                   {"topk", SAE_TOPK},
                                                   {"batchtopk", SAE_BATCHTOPK},
                                                   {"jumprelu", SAE_JUMPRELU},
                                                   {NULL, 0}};
static const struct config_choice booleans[] = {{"true", 1}, {"false", 0}, {NULL, 0}};
static const struct config_choice automatic[] = {
    {"auto", -1}, {"true", 1}, {"false", 0}, {NULL, 0}};

static const struct config_choice curves[] = {{"all", CONFIG_CURVES_ALL},
                                              {"jsonl", CONFIG_CURVES_JSONL},
                                              {"tensorboard", CONFIG_CURVES_TENSORBOARD},
                                              {"off", CONFIG_CURVES_OFF},
                                              {NULL, 0}};
static const struct config_choice axes[] = {{"auto", CONFIG_AXES_AUTO},
                                            {"sequences", CONFIG_AXES_SEQUENCES},
                                            {"layers", CONFIG_AXES_LAYERS},
                                            {NULL, 0}};
static const struct config_choice file_dtypes[] = {
    {"auto", CONFIG_FILE_DTYPE_AUTO}, {"bf16", CONFIG_FILE_DTYPE_BF16}, {NULL, 0}};

#define MEBI              ((double)(1 << 20))
#define TEBI              ((double)(1ull << 40))
#define MANY              1e15
#define DAY               86400.0

#define IN(field)         offsetof(struct config, field)
#define IN_SAE(field)     offsetof(struct config_sae, field)
#define IN_OPTIONS(field) offsetof(struct config_sae, options.field)

const char config_own[] = "";

const struct config_section config_sections[] = {
    {"stream", "what the rows are, and where the run lives"},
    {"capture", "where rows come from"},
    {"capture.synthetic", "the synthetic engine: sparse combinations of known directions"},
    {"broker", "what connects producers and the sink"},
    {"sink", "the shuffle buffer"},
    {"trainer", "what is trained, and how"},
    {CONFIG_SAES,
     "a list: one mapping for each autoencoder, all fed from one read of the rows; a key "
     "with a list of values makes one autoencoder of each, several keys their product"},
    {"up", "how `sluice up` runs it all on this machine"},
};
const size_t config_sections_count = sizeof config_sections / sizeof config_sections[0];

const struct config_option config_options[] = {
    /* clang-format off */
    {"stream", "name", OPTION_TEXT, IN(stream.name), NULL, "", 0, 0, NULL,
     "name of the stream: 1 to 63 letters, digits, dots, dashes and underscores"},
    {"stream", "model", OPTION_PATH, IN(stream.model), "", "", 0, 0, NULL,
     "a GGUF file, or the name of a model that `make model` put into the cache (smollm2)"},
    {"stream", "model_name", OPTION_TEXT, IN(stream.model_name), "", "", 0, 0, NULL,
     "name of the model in the metadata of exports, as others find it (HuggingFaceTB/SmolLM2-135M); "
     "empty: the model's file"},
    {"stream", "dataset", OPTION_TEXT, IN(stream.dataset), "", "", 0, 0, NULL,
     "name of the corpus in the metadata of exports; empty: none"},
    {"stream", "hooks", OPTION_TEXTS, IN(stream.hooks), "", "", 0, 0, NULL,
     "points of the model whose activations make a row, side by side: resid_post.15"},
    {"stream", "dtype", OPTION_CHOICE, IN(stream.dtype), "bf16", "", 0, 0, dtypes,
     "number format of the rows on the wire and in the buffer"},
    {"stream", "codec", OPTION_CHOICE, IN(stream.codec), "none", "", 0, 0, codecs,
     "compression on the wire; on one machine it only costs"},
    {"stream", "run_dir", OPTION_PATH, IN(stream.run_dir), "", "", 0, 0, NULL,
     "folder of the run, new or empty at first; empty: $XDG_STATE_HOME/sluice/NAME, or "
     "~/.local/state/sluice/NAME"},
    {"stream", "policy", OPTION_CHOICE, IN(stream.policy), "block", "", 0, 0, policies,
     "block: capture waits for room and nothing is lost; shed: what finds no room is dropped and "
     "counted"},
    {"stream", "keep_tokens", OPTION_CHOICE, IN(stream.keep_tokens), "true", "", 0, 0, booleans,
     "false: rows leave the producer without their token ids, so that no text can be told from them"},

    {"capture", "engine", OPTION_CHOICE, IN(capture.engine), "llama", "", 0, 0, engines,
     "llama: a model over a corpus; synthetic: known directions; files: safetensors or .npy; ring: "
     "running programs, through libsluice or `sluice tap`"},
    {"capture", "corpus", OPTION_PATHS, IN(capture.corpus), "", "", 0, 0, NULL,
     "text, JSON or CSV, plain or compressed, told by content: files, folders, patterns (** is any "
     "depth), \"-\" for standard input, or names that `make model` put into the cache (corpus)"},
    {"capture", "text_field", OPTION_TEXT, IN(capture.text_field), "text", "", 0, 0, NULL,
     "JSON: the field that holds the text, a list of texts, or chat messages (data.text: the field of "
     "an object); CSV: the column"},
    {"capture", "tokens_field", OPTION_TEXT, IN(capture.tokens_field), "", "", 0, 0, NULL,
     "JSON: the field that holds a document's token ids, in place of its text; empty: none"},
    {"capture", "document_separator", OPTION_TEXT, IN(capture.document_separator), "", "", 0, 0, NULL,
     "plain text: a line that holds nothing else ends a document (fortune files: \"%\"); empty: a "
     "file is one document"},
    {"capture", "on_bad_text", OPTION_CHOICE, IN(capture.on_bad_text), "skip", "", 0, 0, bad_texts,
     "documents that cannot be read (not UTF-8, not JSON, no text in them): skip and count them, or fail"},
    {"capture", "max_bad_documents", OPTION_REAL, IN(capture.max_bad_documents), "0.01", "", 0, 1,
     NULL, "stop with an error when more than this share of the documents was skipped, judged from "
     "100 documents on and at the end"},
    {"capture", "context_tokens", OPTION_COUNT, IN(capture.context_tokens), "512", "tokens", 2,
     1 << 20, NULL, "length of a context, into which documents are packed"},
    {"capture", "pack", OPTION_CHOICE, IN(capture.pack), "true", "", 0, 0, booleans,
     "true: documents are packed into contexts one behind another; false: each context holds one "
     "document, or a part of a longer one"},
    {"capture", "batch_contexts", OPTION_COUNT, IN(capture.batch_contexts), "1", "contexts", 1,
     1024, NULL, "contexts in one pass of the model"},
    {"capture", "threads", OPTION_COUNT, IN(capture.threads), "0", "threads", 0, 1024, NULL,
     "of the engine; 0: as many as there are processors"},
    {"capture", "prepend_bos", OPTION_CHOICE, IN(capture.prepend_bos), "auto", "", 0, 0, automatic,
     "begin each context with the model's BOS token; auto: as the model's metadata says"},
    {"capture", "exact_model", OPTION_CHOICE, IN(capture.exact_model), "false", "", 0, 0, booleans,
     "use the model's file as it is instead of preparing a faster one"},
    {"capture", "rows", OPTION_NUMBER, IN(capture.rows), "0", "rows", 0, MANY, NULL,
     "end the stream after this many, counted after the filters over all producers; 0: all"},
    {"capture", "producers", OPTION_COUNT, IN(capture.producers), "1", "processes", 1,
     CONFIG_MAX_PRODUCERS, NULL, "producers that share the corpus"},
    {"capture", "keep_special", OPTION_CHOICE, IN(capture.keep_special), "false", "", 0, 0,
     booleans, "keep the rows of special tokens (BOS, EOS, chat markers)"},
    {"capture", "keep_sinks", OPTION_CHOICE, IN(capture.keep_sinks), "false", "", 0, 0, booleans,
     "keep the rows at position 0 of a context, which are attention sinks"},
    {"capture", "max_norm_ratio", OPTION_REAL, IN(capture.max_norm_ratio), "10", "", 0, 1e12, NULL,
     "leave out rows whose norm is over this many times the median that was measured; 0: keep all"},
    {"capture", "max_rejected_share", OPTION_REAL, IN(capture.max_rejected_share), "0.01", "", 0, 1,
     NULL, "stop with an error when more than this share of the rows is not finite"},
    {"capture", "max_filtered_share", OPTION_REAL, IN(capture.max_filtered_share), "0.05", "", 0, 1,
     NULL, "stop with an error when max_norm_ratio leaves out more than this share of any 10,000 "
     "rows, position 0 and special tokens not counted"},
    {"capture", "resumable", OPTION_CHOICE, IN(capture.resumable), "true", "", 0, 0, booleans,
     "false: the corpus can't be read again (a pipe), so rows that were in flight when a process "
     "dies are lost"},
    {"capture", "measure_contexts", OPTION_COUNT, IN(capture.measure_contexts), "32", "contexts", 1,
     1 << 16, NULL, "contexts on which norms, input scale and mean are measured, once a stream"},
    {"capture", "cache_size", OPTION_BYTES, IN(capture.cache_bytes), "8GiB", "bytes", 0,
     1024 * TEBI, NULL, "cap of the folder of prepared models"},
    {"capture", "retained", OPTION_BYTES, IN(capture.retained_bytes), "64MiB", "bytes", MEBI, TEBI,
     NULL, "cap of frames that a producer has sent and keeps until they are acknowledged"},
    {"capture", "files", OPTION_PATHS, IN(capture.files), "", "", 0, 0, NULL,
     "the files engine: .npy, .npz and safetensors files of rows, indexes of shards, patterns, "
     "folders; in order"},
    {"capture", "tensor", OPTION_TEXT, IN(capture.tensor), "", "", 0, 0, NULL,
     "the files engine: array inside a .npz, a safetensors file or its shards; empty: the only one"},
    {"capture", "tokens_tensor", OPTION_TEXT, IN(capture.tokens_tensor), "", "", 0, 0, NULL,
     "the files engine: tensor beside the rows that holds their token ids; empty: none"},
    {"capture", "sequences_tensor", OPTION_TEXT, IN(capture.sequences_tensor), "", "", 0, 0, NULL,
     "the files engine: tensor beside the rows that holds the number of each row's sequence; empty: "
     "none"},
    {"capture", "file_axes", OPTION_CHOICE, IN(capture.file_axes), "auto", "", 0, 0, axes,
     "the files engine: what an array of three dimensions holds: (sequences, rows, width) or (rows, "
     "layers, width); auto: sequences, or layers where stream.hooks names as many as there are"},
    {"capture", "file_dtype", OPTION_CHOICE, IN(capture.file_dtype), "auto", "", 0, 0, file_dtypes,
     "the files engine: bf16 reads the 2-byte values of a .npy that ml_dtypes wrote (V2) as bfloat16"},
    {"capture", "file_sequence_rows", OPTION_COUNT, IN(capture.file_sequence_rows), "512", "rows",
     1, 1 << 20, NULL, "the files engine: rows that count as one sequence"},
    {"capture", "share", OPTION_REAL, IN(capture.share), "1", "", 1e-9, 1, NULL,
     "the ring engine: share of the sequences (requests) that are captured, whole ones"},
    {"capture", "rows_per_second", OPTION_REAL, IN(capture.rows_per_second), "0", "rows", 0, RING_HIGHEST_RATE, NULL,
     "the ring engine: rows that one program hands over at most, on average over a second, from 0.001 "
     "on; 0: no limit"},
    {"capture", "bytes_per_second", OPTION_BYTES, IN(capture.bytes_per_second), "0", "bytes", 0, TEBI,
     NULL, "the ring engine: the same limit in bytes of rows; the lower of both holds; 0: no limit"},
    {"capture", "ring_size", OPTION_BYTES, IN(capture.ring_bytes), "64MiB", "bytes", 65536, TEBI, NULL,
     "the ring engine: shared memory of each program that hands rows over"},
    {"capture", "exclude_text", OPTION_TEXT, IN(capture.exclude_text), "", "", 0, 0, NULL,
     "a tapped program: a request whose text has this in it is not captured, from the pass on in which it "
     "is seen, so that callers can say so at its beginning; at most 63 bytes, without control characters; empty: none"},
    {"capture", "rings", OPTION_PATH, IN(capture.rings), "", "", 0, 0, NULL,
     "the ring engine: folder of the rings, on a memory file system; empty: /dev/shm/sluice-UID/NAME"},
    {"capture", "http", OPTION_TEXT, IN(capture.http), "127.0.0.1:0", "", 0, 0, NULL,
     "address of /metrics, /healthz and /readyz; port 0: any free one, written to RUN/http; off: none"},

    {"capture.synthetic", "features", OPTION_COUNT, IN(capture.synthetic.features), "256", "", 1,
     1 << 24, NULL, "true directions"},
    {"capture.synthetic", "width", OPTION_COUNT, IN(capture.synthetic.width), "64", "", 1,
     ROW_MAX_WIDTH, NULL, "values per row"},
    {"capture.synthetic", "l0", OPTION_REAL, IN(capture.synthetic.l0), "4", "features", 0, 1e6,
     NULL, "active features per row, on average"},
    {"capture.synthetic", "zipf_exponent", OPTION_REAL, IN(capture.synthetic.zipf_exponent), "0.5",
     "", 0, 10, NULL, "how unequal the features' firing rates are; 0: all alike"},
    {"capture.synthetic", "noise", OPTION_REAL, IN(capture.synthetic.noise), "0", "", 0, 1e6, NULL,
     "standard deviation of the noise that is added to every value"},
    {"capture.synthetic", "groups", OPTION_COUNT, IN(capture.synthetic.groups), "0", "", 0, 1 << 24,
     NULL, "groups of features that fire together more often; 0: none"},
    {"capture.synthetic", "seed", OPTION_NUMBER, IN(capture.synthetic.seed), "0", "", 0, 9e18, NULL,
     "of directions and rows"},
    {"capture.synthetic", "rows", OPTION_NUMBER, IN(capture.synthetic.rows), "1000000", "rows", 1,
     MANY, NULL, "rows that all producers together make"},
    {"capture.synthetic", "sequence_rows", OPTION_COUNT, IN(capture.synthetic.sequence_rows), "128",
     "rows", 1, 1 << 20, NULL, "rows of a sequence"},
    {"capture.synthetic", "truth_file", OPTION_PATH, IN(capture.synthetic.truth_file), "", "", 0, 0,
     NULL,
     "safetensors file that the true directions are written to, a relative one in the run's "
     "folder; empty: none"},

    {"broker", "front", OPTION_ENDPOINT, IN(broker.front), "", "", 0, 0, NULL,
     "ZeroMQ endpoint for producers; empty: ipc in the run's folder"},
    {"broker", "back", OPTION_ENDPOINT, IN(broker.back), "", "", 0, 0, NULL,
     "ZeroMQ endpoint for the sink; empty: ipc in the run's folder"},
    {"broker", "keys", OPTION_PATH, IN(broker.keys), "", "", 0, 0, NULL,
     "folder of keys, as `sluice keygen` makes it; a tcp:// endpoint needs one, loopback too"},
    {"broker", "insecure_tcp", OPTION_CHOICE, IN(broker.insecure_tcp), "false", "", 0, 0, booleans,
     "true: tcp:// endpoints on loopback without keys, open to every user of this machine; for "
     "tests alone"},
    {"broker", "http", OPTION_TEXT, IN(broker.http), "127.0.0.1:0", "", 0, 0, NULL,
     "address of the live page, /api/status, /api/history, /api/events, /metrics, /healthz and "
     "/readyz; port 0: any free one, written to RUN/http; off: none"},

    {"sink", "size", OPTION_BYTES, IN(sink.size_bytes), "2GiB", "bytes", MEBI, 64 * TEBI, NULL,
     "cap of the shuffle buffer on disk"},
    {"sink", "slab", OPTION_BYTES, IN(sink.slab_bytes), "0", "bytes", 0, 64 * MEBI, NULL,
     "size of a slab, the unit that frames and buffer are cut in; 0: chosen from size and row"},
    {"sink", "durability", OPTION_CHOICE, IN(sink.durability), "process", "", 0, 0, durabilities,
     "what the buffer survives: the death of every process, or a power cut too"},
    {"sink", "checkpoint_share", OPTION_REAL, IN(sink.checkpoint_share), "0.125", "", 0.001, 1,
     NULL, "share of the buffer that may be finished but not covered by a checkpoint before one is "
     "asked for"},
    {"sink", "window", OPTION_COUNT, IN(sink.window_slabs), "64", "slabs", 1, 1 << 20, NULL,
     "credit of one producer at most"},
    {"sink", "retention", OPTION_DURATION, IN(sink.retention_seconds), "0", "seconds", 0,
     10000 * DAY, NULL,
     "policy shed: age at which rows go, drawn or not, out of every file of the run: 90s, 30m, 1h, 7d; "
     "0: no limit"},
    {"sink", "http", OPTION_TEXT, IN(sink.http), "127.0.0.1:0", "", 0, 0, NULL,
     "address of /metrics, /healthz and /readyz; port 0: any free one, written to RUN/http; off: none"},

    {"trainer", "consumers", OPTION_TEXTS, IN(trainer.consumers), "main", "", 0, 0, NULL,
     "names of all that draw from the buffer; rows are freed when each has finished them. With "
     "none ([]) nothing is freed and the stream must fit"},
    {"trainer", "reuse", OPTION_COUNT, IN(trainer.reuse), "1", "times", 1, 10000, NULL,
     "how often each row is trained on"},
    {"trainer", "batch_rows", OPTION_COUNT, IN(trainer.batch_rows), "4096", "rows", 1, 1 << 20,
     NULL, "rows of a training step; at most a quarter of what the buffer holds"},
    {"trainer", "threads", OPTION_COUNT, IN(trainer.threads), "0", "threads", 0, 1024, NULL,
     "of the trainer; 0: as many as there are processors"},
    {"trainer", "seed", OPTION_NUMBER, IN(trainer.seed), "0", "", 0, 9e18, NULL,
     "of the order in which rows are drawn"},
    {"trainer", "planned_rows", OPTION_NUMBER, IN(trainer.planned_rows), "0", "rows", 0, MANY, NULL,
     "length of the schedules, reuse included; it never ends a run; 0: from the stream"},
    {"trainer", "min_rows", OPTION_NUMBER, IN(trainer.min_rows), "0", "rows", 0, MANY, NULL,
     "rows that must have a draw left before one is made, so that a batch is well mixed; 0: half "
     "of what the buffer holds; where rows go by age, half of those that are there will do"},
    {"trainer", "active_size", OPTION_BYTES, IN(trainer.active_bytes), "0", "bytes", 0,
     1024 * TEBI, NULL, "slabs that are drawn from at once; 0: what memory holds"},
    {"trainer", "eval_rows", OPTION_NUMBER, IN(trainer.eval_rows), "16384", "rows", 0, 1e9, NULL,
     "held-out rows for the metrics; fewer than 2,000 give no FVE; 0: none are held out"},
    {"trainer", "eval_seconds", OPTION_REAL, IN(trainer.eval_seconds), "10", "seconds", 0.1, 1e6,
     NULL, "time between two evaluations"},
    {"trainer", "curves", OPTION_CHOICE, IN(trainer.curves), "all", "", 0, 0, curves,
     "how the training came along, point by point: jsonl: RUN/CONSUMER/metrics.jsonl; tensorboard: "
     "RUN/CONSUMER/tensorboard; all: both; off: neither"},
    {"trainer", "curves_seconds", OPTION_REAL, IN(trainer.curves_seconds), "10", "seconds", 0.1, 1e6,
     NULL, "time between two points, at least; it grows in a long run"},
    {"trainer", "stop_rows", OPTION_NUMBER, IN(trainer.stop_rows), "0", "rows", 0, MANY, NULL,
     "finish after training on this many, reuse included; 0: at the stream's end"},
    {"trainer", "finish_rows", OPTION_NUMBER, IN(trainer.finish_rows), "0", "rows", 0, MANY, NULL,
     "rows that a live run trains on after `sluice finish`, while the rate falls, reuse included; 0: "
     "`decay` times those so far"},
    {"trainer", "checkpoint_seconds", OPTION_REAL, IN(trainer.checkpoint_seconds), "300", "seconds",
     1, 1e6, NULL, "time between two checkpoints, where the sink asks for none before"},
    {"trainer", "keep_checkpoints", OPTION_COUNT, IN(trainer.keep_checkpoints), "2", "checkpoints",
     1, 1000, NULL, "newest ones that are kept"},
    {"trainer", "whiten", OPTION_CHOICE, IN(trainer.whiten), "false", "", 0, 0, booleans,
     "whiten rows by the covariance of the first ones, so that no direction is loud; exports have it "
     "folded in"},
    {"trainer", "http", OPTION_TEXT, IN(trainer.http), "127.0.0.1:0", "", 0, 0, NULL,
     "address of /metrics, /healthz and /readyz; port 0: any free one, written to RUN/http; off: none"},

    {CONFIG_SAES, "name", OPTION_TEXT, IN_SAE(name), "", "", 0, 0, NULL,
     "name in files and metrics; empty: made from arch, features and k; what lists vary is "
     "appended"},
    {CONFIG_SAES, "arch", OPTION_CHOICE, IN_OPTIONS(arch), NULL, "", 0, 0, archs,
     "l1: the paper's; topk: TopK with AuxK; batchtopk: the largest of a whole batch; matryoshka: "
     "batchtopk in nested levels; jumprelu: a learned threshold for each; "
     "gated: whether and how much apart; transcoder: the second of two hooks from the first; "
     "crosscoder: several hooks by the same features; clt: layers' outputs from their own and "
     "earlier inputs; count: a counter for each row, for tests"},
    {CONFIG_SAES, "hooks", OPTION_TEXT, IN_SAE(hooks), "", "", 0, 0, NULL,
     "which of stream.hooks it sees, divided by commas (a list makes an autoencoder of each item); "
     "empty: all. A transcoder: what goes in, what is to come out; clt: such pairs, a layer each"},
    {CONFIG_SAES, "activation", OPTION_CHOICE, IN_OPTIONS(activation), "auto", "", 0, 0, activations,
     "transcoder, crosscoder (l1, topk, batchtopk), clt (jumprelu, batchtopk): what their features are "
     "like, as the architecture of that name, whose keys they have; auto: topk for a transcoder, l1 for "
     "a crosscoder, jumprelu for clt"},
    {CONFIG_SAES, "skip", OPTION_CHOICE, IN_OPTIONS(skip), config_own, "", 0, 0, booleans,
     "transcoder: a linear map of what goes in is added to what comes out"},
    {CONFIG_SAES, "features", OPTION_COUNT, IN_OPTIONS(features), "0", "", 0, 1 << 24, NULL,
     "features (F), of clt of all layers together; required but for count"},
    {CONFIG_SAES, "k", OPTION_COUNT, IN_OPTIONS(k), "0", "features", 0, 1 << 16, NULL,
     "topk, batchtopk, matryoshka: active features of a row (K), of the last two on average; "
     "required there"},
    {CONFIG_SAES, "lr", OPTION_REAL, IN_OPTIONS(learning_rate), "0", "", 0, 10, NULL,
     "learning rate of Adam; 0: 5e-5 for l1, 2e-4 for jumprelu, 3e-4 for gated, "
     "2e-4 / sqrt(features / 16384) for topk, batchtopk and matryoshka"},
    {CONFIG_SAES, "decoder_lr_factor", OPTION_REAL, IN_OPTIONS(decoder_lr_factor), "0", "", 0, 100, NULL,
     "times lr: the rate of the decoder's weights; 0: 3 for topk, batchtopk and matryoshka, and a "
     "crosscoder of those, else 1"},
    {CONFIG_SAES, "lambda", OPTION_REAL, IN_OPTIONS(lambda), "-1", "", -1, 1e6, NULL,
     "l1, jumprelu, gated: coefficient of sparsity at full strength; -1: 10 for jumprelu, else 5"},
    {CONFIG_SAES, "lambda_ramp", OPTION_REAL, IN_OPTIONS(lambda_ramp), "-1", "", -1, 1, NULL,
     "share of the planned rows over which lambda rises from 0; -1: 1 for jumprelu, else "
     "0.05"},
    {CONFIG_SAES, "target_l0", OPTION_REAL, IN_OPTIONS(target_l0), config_own, "features", 0, 1 << 24, NULL,
     "l1, jumprelu, gated: active features per row, on average, to come to: jumprelu penalizes the "
     "distance in place of lambda, the others adjust lambda; 0: off"},
    {CONFIG_SAES, "bandwidth", OPTION_REAL, IN_OPTIONS(bandwidth), config_own, "", 1e-9, 1e6, NULL,
     "jumprelu: pre-activations so near their threshold, half of it to each side, move it"},
    {CONFIG_SAES, "pre_act_coefficient", OPTION_REAL, IN_OPTIONS(pre_act_coefficient), config_own, "", 0,
     1e6, NULL, "jumprelu: weight of the loss that lifts what is below its threshold"},
    {CONFIG_SAES, "seed", OPTION_NUMBER, IN_OPTIONS(seed), config_own, "", 0, 9e18, NULL,
     "of the initial weights"},
    {CONFIG_SAES, "aux_coefficient", OPTION_REAL, IN_OPTIONS(aux_coefficient), config_own, "", 0, 1e3,
     NULL, "topk, batchtopk, matryoshka: weight of the loss that revives dead features (AuxK); 0: off"},
    {CONFIG_SAES, "k_aux", OPTION_COUNT, IN_OPTIONS(k_aux), config_own, "features", 0, 1 << 20, NULL,
     "topk, batchtopk, matryoshka: dead features used by AuxK; 0: the power of two nearest half the row's "
     "width"},
    {CONFIG_SAES, "levels", OPTION_COUNT, IN_OPTIONS(levels), config_own, "", 1, 16, NULL,
     "matryoshka: nested prefixes of the features that reconstruct, each half of the next"},
    {CONFIG_SAES, "dead_window_rows", OPTION_NUMBER, IN_OPTIONS(dead_window_rows), "0", "rows", 0, MANY,
     NULL,
     "a feature that has not fired in so many rows (of a model: tokens) is dead; 0: the smaller of "
     "1e7 and a tenth of the planned rows"},
    {CONFIG_SAES, "dead_window_steps", OPTION_NUMBER, IN_SAE(dead_window_steps), "0", "steps", 0,
     1e12, NULL, "the same counted in steps of batch_rows; one of the two is given, or none"},
    {CONFIG_SAES, "warmup", OPTION_REAL, IN_OPTIONS(warmup), config_own, "", 0, 1, NULL,
     "share of the planned rows over which the learning rate rises from 0"},
    {CONFIG_SAES, "decay", OPTION_REAL, IN_OPTIONS(decay), config_own, "", 0, 1, NULL,
     "share of the planned rows, at the end, over which the learning rate falls to 0"},
    {CONFIG_SAES, "clip_norm", OPTION_REAL, IN_OPTIONS(clip_norm), config_own, "", 0, 1e9, NULL,
     "gradients are clipped to this norm; 0: never"},

    {"up", "restart", OPTION_CHOICE, IN(up.restart), "true", "", 0, 0, booleans,
     "start a process again that died"},
    {"up", "progress", OPTION_CHOICE, IN(up.progress), "auto", "", 0, 0, automatic,
     "true: a line each second; auto: each second on a terminal, else each ten seconds; false: none"},
    /* clang-format on */
};
const size_t config_options_count = sizeof config_options / sizeof config_options[0];
_Static_assert(sizeof config_options / sizeof config_options[0] <= CONFIG_OPTIONS_MAX,
               "CONFIG_OPTIONS_MAX holds the table");

int config_option_find(const char *section, const char *key)
{
    for (size_t i = 0; i < config_options_count; i++)
        if (strcmp(config_options[i].section, section) == 0 &&
            strcmp(config_options[i].key, key) == 0)
            return (int)i;
    return -1;
}
