"""End to end: from the text to a trained SAE, Sluice's pipeline beside SAELens's runner, on the same
model, layer, corpus, tokens and number of rows; with one SAE, and with eight at once."""
import datetime
import os
import re
import subprocess
import time

from common import (
    AMX, BATCH, BUILD, CONTEXT, CORPUS, K, LAYER, MODEL, RATE, THREADS, WIDTH, peak_mib, run_child, say,
    use_threads,
)
from given import read_ids, write_rows
from results import against, keep, table

STARTED = time.time()
ROWS = int(os.environ.get("BENCH_PEER_ROWS", "100000"))
# Contexts beyond those that are trained on: what SAELens leaves in its buffer, and held-out ones.
SPARE_CONTEXTS, HELD_OUT_CONTEXTS = 48, 32
# Of tokens/s over SAELens's.
AIMS = {"whole-4608": 1.15, "whole-18432": 1.8 if AMX else 1.6, "whole-eight": 2}
MEMORY = 0.3


def held_out(folder):
    """Rows of contexts that nobody trained on, without position 0."""
    import numpy
    import torch

    rows = numpy.memmap(folder / "rows", "<f4", "r").reshape(-1, CONTEXT, WIDTH)
    return torch.from_numpy(rows[-HELD_OUT_CONTEXTS:, 1:].reshape(-1, WIDTH).copy())


def fve(export, folder):
    """Of a topk SAE in SAELens's layout."""
    import learned

    return learned.fve(learned.read_export(export), held_out(folder), K, whole=False)


CONFIG = """
stream:  {{ name: peers, model: {model}, hooks: [resid_post.{layer}] }}
capture: {{ corpus: [{corpus}], context_tokens: {context}, rows: {rows}, threads: {threads} }}
sink:    {{ size: 32MiB }}
trainer:
  {{ reuse: 1, batch_rows: {batch}, threads: {threads}, eval_rows: 0,
     saes: [ {saes} ] }}
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
    stamp = re.search(r"time=(\S+)Z .* msg=(?:measuring|streaming)\b", log.read_text())[1]
    return datetime.datetime.fromisoformat(stamp + "+00:00").timestamp()


def configuration(features, count, rows):
    saes = ", ".join(
        f"{{ name: s{i}, arch: topk, features: {features}, k: {K}, lr: {RATE}, seed: {i}, "
        f"dead_window_steps: 1000 }}"  # as SAELens's
        for i in range(count))
    return CONFIG.format(model=MODEL, corpus=CORPUS, layer=LAYER, context=CONTEXT, rows=rows,
                         threads=THREADS, batch=BATCH, saes=saes)


def sluice(folder, features, count, rows):
    """Its buffer holds 28,000 rows, of which half are there before it draws; SAELens's 10,000."""
    config, report = folder / "peers.yaml", folder / "sluice.memory"
    config.write_text(configuration(features, count, rows))
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
    export = folder / "sluice/peers/main/export/s0/saelens"
    return {
        "seconds": seconds, "mib": peak_mib(report), "fve": fve(export, folder),
        "tokens": rows * CONTEXT // (CONTEXT - 1),  # at least: special tokens make no rows
        "start": model_open(folder / "sluice/peers/log/capture-0.log") - start,
        "steady": steady(seen),
    }


def steady(seen):
    """Tokens/s while model and trainer were at work: a buffer that fills or drains flatters one of
    the two. None where they hardly were at once."""
    both = [s for s in seen if s[2] > 0 and s[1] < seen[-1][1]]
    if len(both) < 5:
        return None
    lasted, tokens, rows = (after - before for before, after in zip(both[0], both[-1]))
    return min(tokens, rows * CONTEXT / (CONTEXT - 1)) / lasted


def hugging_face_model():
    """SmolLM2 out of the same file, as SAELens wraps a Hugging Face model; it stops at the hook."""
    import torch
    from sae_lens.load_model import HookedProxyLM
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = {"pretrained_model_name_or_path": MODEL.parent, "gguf_file": MODEL.name}
    model = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(**source)
    return HookedProxyLM(model, tokenizer, hook_names=[f"model.layers.{LAYER}"])


def saelens_sae(features):
    from sae_lens import TopKTrainingSAEConfig

    # Sparse activations make a step half as long; they run on a CPU without rescaling alone.
    return TopKTrainingSAEConfig(
        d_in=WIDTH, d_sae=features, k=K, device="cpu", dtype="float32",
        use_sparse_activations=True, rescale_acts_by_decoder_norm=False,
        normalize_activations="expected_average_only_in",
    )


def saelens_runner(dataset, folder, features, count, rows):
    """With several SAEs: one capture, and a trainer for each in turn on every batch."""
    from sae_lens import LanguageModelSAERunnerConfig, LanguageModelSAETrainingRunner, LoggingConfig
    from sae_lens.multi_sae_training_runner import (
        MultiSAETrainingRunner, MultiSAETrainingRunnerConfig,
    )

    steps, hook = rows // BATCH, f"model.layers.{LAYER}"
    # By default, 32 prompts make a batch (slower here), and 1000 batches of rows, which are then
    # thrown away, the estimate of the norm.
    common = dict(
        n_batches_for_norm_estimate=1, model_class_name="AutoModelForCausalLM",
        model_name="smollm2", dataset_path="the same tokens", streaming=False,
        context_size=CONTEXT, seqpos_slice=(1, None),
        prepend_bos=False, training_tokens=steps * BATCH, train_batch_size_tokens=BATCH,
        store_batch_size_prompts=8, lr=RATE, lr_decay_steps=steps // 5, device="cpu",
        dtype="float32", logger=LoggingConfig(log_to_wandb=False), checkpoint_path=None,
        output_path=str(folder / "saelens"),
    )
    model = {"override_dataset": dataset, "override_model": hugging_face_model()}
    if count == 1:
        config = LanguageModelSAERunnerConfig(
            sae=saelens_sae(features), hook_name=hook, is_dataset_tokenized=True, verbose=False,
            **common)
        return LanguageModelSAETrainingRunner(config, **model)
    saes = {f"s{i}": saelens_sae(features) for i in range(count)}
    return MultiSAETrainingRunner(
        MultiSAETrainingRunnerConfig(saes=saes, hook_names=hook, **common), **model)


def saelens(folder, features, count, rows):
    """The child process."""
    import pathlib

    from datasets import Dataset
    from sae_lens.training.sae_trainer import SAETrainer

    folder = pathlib.Path(folder)
    use_threads()
    ends, step = [], SAETrainer.step

    def timed_step(self, batch):
        output = step(self, batch)
        ends.append(time.time())
        if len(ends) % count == 0:
            say(f"  SAELens  {len(ends) // count} of {rows // BATCH} steps, {ends[-1] - STARTED:.1f} s")
        return output

    SAETrainer.step = timed_step
    tokens = read_ids(folder)["token"][:-HELD_OUT_CONTEXTS].astype("int64")
    dataset = Dataset.from_dict({"input_ids": tokens})
    runner = saelens_runner(dataset, folder, features, count, rows)
    start = time.time() - STARTED
    runner.run()
    ends = ends[count - 1::count]
    done = BATCH * (len(ends) - 1)  # each step after the first had its rows made before it
    return {
        "start": start, "tokens": runner.activations_store.n_dataset_processed * CONTEXT,
        "steady": done * CONTEXT / (CONTEXT - 1) / (ends[-1] - ends[0]),
    }


def show(name, title, results):
    ours, theirs = results["Sluice"], results["SAELens"]
    table(title,
          ["", "tokens through the model", "whole process, s", "start-up of it, s",
           "tokens/s, whole", "tokens/s, steady", "peak MiB", "held-out FVE"],
          [[who, f"{r['tokens']:,}", f"{r['seconds']:.1f}", f"{r['start']:.1f}",
            f"{r['tokens'] / r['seconds']:,.0f}", f"{r['steady']:,.0f}" if r["steady"] else "-", f"{r['mib']:,.0f}",
            f"{r['fve']:.4f}"] for who, r in results.items()])
    whole = ours["tokens"] / ours["seconds"] * theirs["seconds"] / theirs["tokens"]
    flowing = "-"
    if ours["steady"]:
        flowing = against(ours["steady"] / theirs["steady"], AIMS[name])
    print(f"Sluice over SAELens: {against(whole, AIMS[name])} whole, {flowing} steady, memory "
          f"{against(ours['mib'] / theirs['mib'], MEMORY, least=False)}", flush=True)


def end_to_end(features, count, share=1.0):
    def part(name, work):
        rows = int(ROWS * share)
        write_rows(work, -(-rows // (CONTEXT - 1)) + SPARE_CONTEXTS + HELD_OUT_CONTEXTS)
        ours = sluice(work, features, count, rows)
        theirs = run_child(work, "saelens-whole", features=features, count=count, rows=rows)
        theirs["fve"] = fve(next((work / "saelens").rglob("cfg.json")).parent, work)
        results = {"Sluice": ours, "SAELens": theirs}
        keep(name, {"rows": rows, **results})
        show(name, f"{name}: {rows:,} rows of layer {LAYER}, contexts of {CONTEXT}, reuse 1, {count} x "
             f"topk F {features} K {K}, B {BATCH}, {THREADS} threads", results)
    return part


PARTS = {
    "whole-4608": end_to_end(4608, 1),
    "whole-18432": end_to_end(18432, 1, 0.6),
    "whole-eight": end_to_end(4608, 8, 0.4),
}
