"""Sluice and its peers on the same model, tokens, rows and machine: `make bench-peers`.

    peers.py [trainers] [end-to-end]     prints a table each; both, where none is named

(`peers.py saelens FOLDER` and `peers.py trainer PEER F FOLDER` are what it starts for one peer.)

BENCH_PEER_ROWS (default 100000) is the length of the end-to-end part. Everything computes in
float32 on two threads, and nothing is logged to a server. Peers have the fastest settings that were
found for two CPU cores; where one is not the peer's default, a comment says so. torch.compile is
left out: it took 16 s to make SAELens's dense step 7 % faster.
"""
import datetime
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time
import types

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("BUILD", "build")
MODEL = pathlib.Path(os.environ["SLUICE_MODEL"])
CORPUS = pathlib.Path(os.environ["SLUICE_CORPUS"])
THREADS, LAYER, WIDTH, CONTEXT = 2, 15, 576, 512
BATCH, K, FEATURES, RATE = 4096, 32, 4608, 1e-3
STARTED = time.time()
ROWS = int(os.environ.get("BENCH_PEER_ROWS", "100000"))
# Contexts beyond those that are trained on: what SAELens leaves in its buffer, and held-out ones.
SPARE_CONTEXTS, HELD_OUT_CONTEXTS = 48, 32
SIZES = {4608: 12, 18432: 8}  # of the trainers' part: features, steps
TRAINERS_CONTEXTS = 48
WARM_STEPS = 2


def say(text):
    print(text, file=sys.stderr, flush=True)


# ---- what both sides are given ----


def write_rows(folder, contexts):
    """Identities and float32 rows of whole contexts, by the engine."""
    say(f"making {contexts} contexts of {CONTEXT} tokens, and their rows")
    driver = BUILD / "tests/interop/rows_driver"
    arguments = [MODEL, MODEL.parents[1], CORPUS, str(contexts), str(CONTEXT), folder]
    subprocess.run([driver, *arguments], check=True)


def read_ids(folder):
    import numpy

    row_id = numpy.dtype([("sequence", "<u8"), ("position", "<u4"), ("token", "<u4")])
    return numpy.fromfile(folder / "ids", row_id).reshape(-1, CONTEXT)


def read_rows(folder, contexts):
    """Rows of a slice of the contexts, without position 0."""
    import numpy
    import torch

    rows = numpy.memmap(folder / "rows", "<f4", "r").reshape(-1, CONTEXT, WIDTH)
    return torch.from_numpy(rows[contexts, 1:].reshape(-1, WIDTH).copy())


def fve(export, folder):
    """Of an SAE in SAELens's layout, on contexts that nobody trained on."""
    import torch
    from sae_lens import SAE

    x = read_rows(folder, slice(-HELD_OUT_CONTEXTS, None))
    sae = SAE.load_from_disk(str(export))
    with torch.no_grad():
        error = sum((sae(part) - part).pow(2).sum().item() for part in x.split(2048))
    return 1 - error / (x - x.mean(0)).pow(2).sum().item()


def use_two_threads():
    import torch

    torch.set_num_threads(THREADS)
    torch.manual_seed(0)


def peak_mib(report):
    """Anonymous and shared memory of all processes of a bench_memory."""
    return float(re.search(r"^all .*=(.*)", report.read_text(), re.M)[1])


def run_part(folder, *arguments):
    """Run a part of this file in a process of its own: what its last line says, with its seconds
    and MiB."""
    report = folder / "part.memory"
    command = [sys.executable, __file__, *arguments, folder]
    begun = time.time()
    out = subprocess.run(
        [BUILD / "tests/bench/bench_memory", report, *command],
        check=True, text=True, stdout=subprocess.PIPE,
    ).stdout
    seconds = time.time() - begun
    return {"seconds": seconds, "mib": peak_mib(report), **json.loads(out.splitlines()[-1])}


# ---- end to end ----

CONFIG = """
stream:  {{ name: peers, model: {model}, hooks: [resid_post.{layer}] }}
capture: {{ corpus: [{corpus}], context_tokens: {context}, rows: {rows}, threads: {threads} }}
sink:    {{ size: 32MiB }}
trainer:
  {{ reuse: 1, batch_rows: {batch}, threads: {threads}, eval_rows: 0,
     saes: [ {{ arch: topk, features: {features}, k: {k}, lr: {rate} }} ] }}
up:      {{ progress: true }}
"""


def follow(stream, start):
    """Echo the lines of `sluice up`; (seconds, tokens, rows trained) of each."""
    seen = []
    for line in stream:
        found = re.search(r"([\d,]+) tokens.*trained ([\d,]+) rows", line)
        if found:
            say("  sluice   " + line.rstrip())
            numbers = [int(number.replace(",", "")) for number in found.groups()]
            seen.append((time.time() - start, *numbers))
    return seen


def model_open(log):
    """When the model was loaded: what comes next is the measuring of the scale."""
    stamp = re.search(r"time=(\S+)Z .* msg=measuring ", log.read_text())[1]
    return datetime.datetime.fromisoformat(stamp + "+00:00").timestamp()


def sluice(folder):
    """Its buffer holds 28,000 rows, of which half are there before it draws; SAELens's 10,000."""
    config, report = folder / "peers.yaml", folder / "sluice.memory"
    config.write_text(CONFIG.format(
        model=MODEL, corpus=CORPUS, layer=LAYER, context=CONTEXT, rows=ROWS, threads=THREADS,
        batch=BATCH, features=FEATURES, k=K, rate=RATE,
    ))
    command = [BUILD / "tests/bench/bench_memory", report, BUILD / "sluice", "up", config]
    start = time.time()
    process = subprocess.Popen(
        command, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        env={**os.environ, "XDG_STATE_HOME": str(folder)},
    )
    seen = follow(process.stderr, start)
    if process.wait() != 0:
        raise SystemExit("sluice up failed")
    seconds = time.time() - start
    # Model and trainer at work; a buffer that fills or drains flatters one of the two.
    both = [s for s in seen if s[2] > 0 and s[1] < seen[-1][1]]
    lasted, *done = (after - before for before, after in zip(both[0], both[-1]))
    export = folder / "sluice/peers/main/export/topk-4608-k32/saelens"
    return {
        "seconds": seconds, "mib": peak_mib(report), "fve": fve(export, folder),
        "tokens": ROWS * CONTEXT // (CONTEXT - 1),  # at least: special tokens make no rows
        "start": model_open(folder / "sluice/peers/log/capture-0.log") - start,
        "steady": min(done[0], done[1] * CONTEXT / (CONTEXT - 1)) / lasted,
    }


def hugging_face_model():
    """SmolLM2 out of the same file, as SAELens wraps a Hugging Face model; it stops at the hook."""
    import torch
    from sae_lens.load_model import HookedProxyLM
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = {"pretrained_model_name_or_path": MODEL.parent, "gguf_file": MODEL.name}
    model = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(**source)
    return HookedProxyLM(model, tokenizer, hook_names=[f"model.layers.{LAYER}"])


def saelens_sae(features, **options):
    from sae_lens import TopKTrainingSAEConfig

    # Sparse activations make a step half as long; they run on a CPU without rescaling alone.
    return TopKTrainingSAEConfig(
        d_in=WIDTH, d_sae=features, k=K, device="cpu", dtype="float32",
        use_sparse_activations=True, rescale_acts_by_decoder_norm=False, **options,
    )


def saelens_runner(dataset, folder):
    from sae_lens import LanguageModelSAERunnerConfig, LanguageModelSAETrainingRunner, LoggingConfig

    steps = ROWS // BATCH
    # By default, 32 prompts make a batch (slower here), and 1000 batches of rows, which are then
    # thrown away, the estimate of the norm.
    config = LanguageModelSAERunnerConfig(
        sae=saelens_sae(FEATURES, normalize_activations="expected_average_only_in"),
        n_batches_for_norm_estimate=1, model_class_name="AutoModelForCausalLM",
        model_name="smollm2", hook_name=f"model.layers.{LAYER}",
        dataset_path="the same tokens", streaming=False,
        is_dataset_tokenized=True, context_size=CONTEXT, seqpos_slice=(1, None),
        prepend_bos=False, training_tokens=steps * BATCH, train_batch_size_tokens=BATCH,
        store_batch_size_prompts=8, lr=RATE, lr_decay_steps=steps // 5, device="cpu",
        dtype="float32", logger=LoggingConfig(log_to_wandb=False), checkpoint_path=None,
        output_path=str(folder / "saelens"), verbose=False,
    )
    return LanguageModelSAETrainingRunner(
        config, override_dataset=dataset, override_model=hugging_face_model()
    )


def saelens(folder):
    from datasets import Dataset
    from sae_lens.training.sae_trainer import SAETrainer

    use_two_threads()
    ends, step = [], SAETrainer.step

    def timed_step(self, batch):
        output = step(self, batch)
        ends.append(time.time())
        say(f"  SAELens  {len(ends)} of {ROWS // BATCH} steps, {ends[-1] - STARTED:.1f} s")
        return output

    SAETrainer.step = timed_step
    tokens = read_ids(folder)["token"][:-HELD_OUT_CONTEXTS].astype("int64")
    runner = saelens_runner(Dataset.from_dict({"input_ids": tokens}), folder)
    start = time.time() - STARTED
    runner.run()
    rows = BATCH * (len(ends) - 1)  # each step after the first had its rows made before it
    return {
        "start": start, "tokens": runner.activations_store.n_dataset_processed * CONTEXT,
        "steady": rows * CONTEXT / (CONTEXT - 1) / (ends[-1] - ends[0]),
    }


def end_to_end(folder):
    say(f"end to end: {ROWS} rows")
    write_rows(folder, -(-ROWS // (CONTEXT - 1)) + SPARE_CONTEXTS + HELD_OUT_CONTEXTS)
    ours = sluice(folder)
    theirs = run_part(folder, "saelens")
    theirs["fve"] = fve(folder / "saelens", folder)
    print(f"\nEnd to end: {ROWS} rows of layer {LAYER}, contexts of {CONTEXT}, reuse 1, topk "
          f"F {FEATURES} K {K}, B {BATCH}, {THREADS} threads\n")
    print("| | tokens through the model | whole process, s | start-up of it, s | tokens/s, whole |"
          " tokens/s, steady | peak MiB | held-out FVE |\n" + "|---" * 8 + "|")
    for name, r in (("Sluice", ours), ("SAELens", theirs)):
        r["whole"] = r["tokens"] / r["seconds"]
        print(f"| {name} | {r['tokens']:,} | {r['seconds']:.1f} | {r['start']:.1f} |"
              f" {r['whole']:,.0f} | {r['steady']:,.0f} | {r['mib']:,.0f} | {r['fve']:.4f} |")
    print("\nSluice over SAELens: {:.2f} whole, {:.2f} steady".format(
        *(ours[key] / theirs[key] for key in ("whole", "steady"))))


# ---- trainers alone ----


def batches(rows, steps, seconds):
    """Random batches; appends how long each took until the next was asked for."""
    import torch

    for _ in range(steps):
        batch = rows[torch.randint(len(rows), (BATCH,))]
        begun = time.perf_counter()
        yield batch
        seconds.append(time.perf_counter() - begun)


def saelens_steps(rows, features, steps, seconds):
    from sae_lens import LoggingConfig, SAETrainer, TopKTrainingSAE
    from sae_lens.config import SAETrainerConfig

    config = SAETrainerConfig(
        total_training_samples=steps * BATCH, train_batch_size_samples=BATCH, lr=RATE, lr_end=RATE,
        logger=LoggingConfig(log_to_wandb=False),
    )
    sae = TopKTrainingSAE(saelens_sae(features))
    SAETrainer(config, sae, batches(rows, steps + 1, seconds)).fit()


def dictionary_learning_steps(rows, features, steps, seconds):
    # nnsight, with twenty packages of its own, is what it takes rows out of models with: not here.
    sys.modules.setdefault("nnsight", types.SimpleNamespace(LanguageModel=None))
    from dictionary_learning.trainers.top_k import TopKTrainer

    trainer = TopKTrainer(
        steps=1000000, activation_dim=WIDTH, dict_size=features, k=K, layer=LAYER,
        lm_name="smollm2", lr=RATE, device="cpu", seed=0,
    )
    for step, batch in enumerate(batches(rows, steps, seconds)):
        trainer.update(step, batch)


def sparsify_steps(rows, features, steps, seconds):
    """Its trainer asks a model for rows: this one looks them up by number. The optimizer is its
    default, signum."""
    import torch
    from datasets import Dataset
    from sparsify import SparseCoderConfig, TrainConfig, Trainer

    class Rows(torch.nn.Module):
        device = torch.device("cpu")
        dummy_inputs = {"input_ids": torch.zeros(1, 1, dtype=torch.long)}

        def __init__(self):
            super().__init__()
            self.hook, self.begun = torch.nn.Identity(), None
            self.weight = torch.nn.Parameter(torch.zeros(1))  # it counts a model's parameters

        base_model = property(lambda self: self)

        def forward(self, input_ids):
            if self.begun is not None and input_ids.numel() == BATCH:
                seconds.append(time.perf_counter() - self.begun)
            found = rows[input_ids]
            self.begun = time.perf_counter() if input_ids.numel() == BATCH else None
            return self.hook(found)

    numbers = torch.randint(len(rows), ((steps + 1) * BATCH // CONTEXT, CONTEXT))
    dataset = Dataset.from_dict({"input_ids": numbers.numpy()}).with_format("torch")
    with tempfile.TemporaryDirectory() as folder:
        config = TrainConfig(
            SparseCoderConfig(num_latents=features, k=K), batch_size=BATCH // CONTEXT,
            hookpoints=["hook"], log_to_wandb=False, save_dir=folder,
        )
        Trainer(config, dataset, Rows()).fit()


TRAINERS = {
    "SAELens": saelens_steps,
    "dictionary_learning": dictionary_learning_steps,
    "sparsify": sparsify_steps,
}


def trainer(peer, features, folder):
    use_two_threads()
    seconds, rows = [], read_rows(folder, slice(None))
    TRAINERS[peer](rows, features, SIZES[features], seconds)
    return {"rows": BATCH / statistics.median(seconds[WARM_STEPS:])}


def sluice_trainer(folder):
    """Rows a second of the step alone by features, out of bench_trainer's table."""
    out = subprocess.run(
        [BUILD / "tests/bench/bench_trainer", str(THREADS), folder],
        check=True, text=True, stdout=subprocess.PIPE,
    ).stdout
    cells = (line.strip("| ").split(" | ") for line in out.splitlines())
    return {int(row[1]): float(row[7]) for row in cells if row[0] == "topk"}


def trainers_alone(folder):
    write_rows(folder, TRAINERS_CONTEXTS)
    say("trainers alone: Sluice")
    ours, peers = sluice_trainer(folder), {}
    for peer in TRAINERS:
        for features in SIZES:
            say(f"trainers alone: {peer}, F {features}")
            result = run_part(folder, "trainer", peer, str(features))
            peers[peer, features] = result["rows"]
    print(f"\nTrainers alone: rows/s of a step (median), the same rows, D {WIDTH}, topk K {K}, "
          f"B {BATCH}, {THREADS} threads\n")
    print("| |" + "".join(f" F {features} | Sluice over it |" for features in SIZES))
    print("|---" * (1 + 2 * len(SIZES)) + "|")
    print("| Sluice |" + "".join(f" {ours[features]:,.0f} | |" for features in SIZES))
    for peer in TRAINERS:
        rates = [(peers[peer, features], ours[features]) for features in SIZES]
        print(f"| {peer} |" + "".join(f" {r:,.0f} | {o / r:.1f} |" for r, o in rates))


PARTS = {"trainers": trainers_alone, "end-to-end": end_to_end}


def run_parts(names):
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            PARTS[name](pathlib.Path(folder))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["saelens", folder]:
            print(json.dumps(saelens(pathlib.Path(folder))))
        case ["trainer", peer, features, folder]:
            print(json.dumps(trainer(peer, int(features), pathlib.Path(folder))))
        case names if set(names) <= set(PARTS):
            run_parts(names or PARTS)
        case _:
            raise SystemExit(__doc__)
