"""SAEs that the real SAELens and sparsify trained are inspected, traced and steered by us."""
import json
import subprocess

import pytest
import torch

from test_eval import CONTEXTS, END_OF_TEXT, MODEL, SLUICE, TOKENS, corpus, engine_rows  # noqa: F401
from test_rows import LAYER, WIDTH

FEATURES, K, STEPS = 192, 12, 40


def train_saelens(rows, folder):
    from sae_lens import LoggingConfig, SAETrainer, TopKTrainingSAEConfig
    from sae_lens.config import SAETrainerConfig
    from sae_lens.registry import get_sae_training_class
    from sae_lens.saes.sae import SAEMetadata

    metadata = SAEMetadata(model_name="smollm2", hook_name=f"blocks.{LAYER}.hook_resid_post",
                           prepend_bos=False, context_size=TOKENS)
    config = TopKTrainingSAEConfig(k=K, d_in=WIDTH, d_sae=FEATURES, device="cpu", dtype="float32",
                                   metadata=metadata)
    sae = get_sae_training_class(config.architecture())[0](config)
    trainer = SAETrainer(
        SAETrainerConfig(total_training_samples=STEPS * len(rows), lr=1e-3, lr_end=1e-4,
                         lr_decay_steps=STEPS // 5,
                         train_batch_size_samples=len(rows),
                         logger=LoggingConfig(log_to_wandb=False)), sae, iter(()))
    for _ in range(STEPS):
        trainer.step(rows)
        trainer.n_training_steps += 1
    sae.save_inference_model(folder)


def train_sparsify(rows, folder):
    from sparsify import SparseCoder, SparseCoderConfig

    coder = SparseCoder(WIDTH, SparseCoderConfig(num_latents=FEATURES, k=K), dtype=torch.float32)
    optimizer = torch.optim.Adam(coder.parameters(), lr=1e-3)
    for _ in range(STEPS):
        coder(rows).fvu.backward()
        coder.remove_gradient_parallel_to_decoder_directions()
        optimizer.step()
        optimizer.zero_grad()
        coder.set_decoder_norm_to_unit_norm()
    coder.save_to_disk(folder)


def peers_features(peer, folder, rows):
    """Which features the peer's own encoder says fire at rows: (rows, features)."""
    with torch.no_grad():
        if peer == "saelens":
            from sae_lens import SAE

            encoded = SAE.load_from_disk(folder).encode(rows)
            return encoded.to_dense() if encoded.is_sparse else encoded
        from sparsify import SparseCoder

        top = SparseCoder.load_from_disk(folder, device="cpu").encode(rows)
        return torch.zeros(len(rows), FEATURES).scatter(1, top.top_indices, top.top_acts)


def run(*arguments):
    done = subprocess.run([SLUICE, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module", params=["saelens", "sparsify"])
def trained(request, engine_rows, tmp_path_factory):  # noqa: F811
    folder = tmp_path_factory.mktemp(request.param) / "sae"
    tokens, rows = engine_rows
    torch.manual_seed(7)
    kept = torch.arange(TOKENS).repeat(CONTEXTS) > 0
    {"saelens": train_saelens, "sparsify": train_sparsify}[request.param](rows[kept], str(folder))
    return request.param, folder


def test_it_is_inspected(trained, engine_rows, corpus):  # noqa: F811
    peer, folder = trained
    index = folder.parent / "index"
    run("inspect", folder, index, "--model", MODEL, "--hook", f"resid_post.{LAYER}", "--corpus",
        corpus, "--context", TOKENS, "--tokens", CONTEXTS * TOKENS)
    lines = json.loads(run("features", "list", index, "--top", 0, "--sort", "feature", "--json"))
    tokens, rows = engine_rows
    kept = ((tokens != END_OF_TEXT) & (torch.arange(TOKENS) > 0)).reshape(-1)
    theirs = peers_features(peer, str(folder), rows[kept])
    counts = (theirs > 0).sum(dim=0)
    ours = torch.tensor([line["rows"] for line in lines])
    print(f"{int((counts - ours).abs().sum())} of {int(counts.sum())} firings differ")
    assert len(lines) == FEATURES and counts.sum() > K * int(kept.sum()) * 0.9
    # Of two features that are as strong either may be among the K; a clash is one in thousands.
    assert (counts - ours).abs().sum() <= 0.003 * counts.sum()
    largest = torch.tensor([line["largest"] for line in lines])
    assert (largest - theirs.amax(dim=0)).abs().max() <= 2e-3 * theirs.max()


def test_it_is_traced_and_steered(trained, corpus):  # noqa: F811
    peer, folder = trained
    common = [folder, "--model", MODEL, "--hook", f"resid_post.{LAYER}"]
    trace = json.loads(run("trace", *common, "--prompt", "The river was", "--json"))
    first = trace["tokens"][-1]["features"][0]
    assert first["value"] > 0
    feature = first["feature"]
    steered = json.loads(run("steer", *common, "--prompt", "The river was", "--tokens", 6,
                             "--temperature", 0, "--features", f"{feature}=8x", "--max",
                             f"{feature}={first['value']}", "--json"))
    print(steered)
    assert steered["steered"]["text"] != steered["unsteered"]["text"]
