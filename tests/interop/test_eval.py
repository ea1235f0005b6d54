"""`sluice eval` agrees with the real SAELens and SAEBench: the same SAE, tokens and model."""
import itertools
import json
import os
import subprocess
import types

import numpy
import pytest
import torch

from test_rows import CACHE, CORPUS, DRIVER, LAYER, MODEL, ROOT, ROW_ID, WIDTH

CONTEXTS, TOKENS, DOCUMENTS, LETTERS, K = 3, 128, 40, 400, 96
END_OF_TEXT = 2  # between documents: the only special token in these texts
SLUICE = ROOT / os.environ.get("BUILD", "build") / "sluice"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Beginnings of documents, so that ends of text are among few tokens."""
    path = tmp_path_factory.mktemp("eval") / "corpus.jsonl"
    with open(CORPUS, encoding="utf-8") as lines, open(path, "w", encoding="utf-8") as out:
        for line in itertools.islice(lines, DOCUMENTS):
            out.write(json.dumps({"text": json.loads(line)["text"][:LETTERS]}) + "\n")
    return path


@pytest.fixture(scope="module")
def engine_rows(corpus):
    """Tokens (contexts, tokens), as the engine packs them, and rows at the hook."""
    arguments = [MODEL, CACHE, corpus, str(CONTEXTS), str(TOKENS), corpus.parent]
    subprocess.run([DRIVER, *arguments], check=True)
    ids = numpy.fromfile(corpus.parent / "ids", ROW_ID)
    rows = torch.from_numpy(numpy.fromfile(corpus.parent / "rows", "<f4")).reshape(-1, WIDTH)
    tokens = torch.from_numpy(ids["token"].astype(numpy.int64)).reshape(CONTEXTS, TOKENS)
    assert (tokens == END_OF_TEXT).any(), "a special token is among them"
    return tokens, rows


@pytest.fixture(scope="module", params=["topk", "standard"])
def sae(request, engine_rows):
    """An SAE of SAELens that rebuilds rows in part: both ways along each principal direction."""
    from sae_lens.saes.sae import SAEMetadata
    from sae_lens.saes.standard_sae import StandardSAE, StandardSAEConfig
    from sae_lens.saes.topk_sae import TopKSAE, TopKSAEConfig

    rows = engine_rows[1]
    mean = rows.mean(dim=0)
    directions = torch.linalg.eigh(torch.cov(rows.T.double())).eigenvectors.T.float()
    both = torch.cat([directions, -directions])
    metadata = SAEMetadata(model_name="smollm2", hook_name=f"blocks.{LAYER}.hook_resid_post",
                           prepend_bos=False, context_size=TOKENS)
    common = dict(d_in=WIDTH, d_sae=2 * WIDTH, dtype="float32", device="cpu",
                  apply_b_dec_to_input=True, metadata=metadata)
    if request.param == "topk":
        module = TopKSAE(TopKSAEConfig(k=K, rescale_acts_by_decoder_norm=False, **common))
    else:
        module = StandardSAE(StandardSAEConfig(**common))
    with torch.no_grad():
        module.W_enc.copy_(both.T)
        module.W_dec.copy_(both)
        module.b_dec.copy_(mean)
        module.b_enc.fill_(0 if request.param == "topk" else -4)
    return module.eval()


@pytest.fixture(scope="module")
def ours(sae, corpus):
    folder = corpus.parent / type(sae).__name__
    sae.save_model(folder)
    command = [SLUICE, "eval", folder, "--model", MODEL, "--corpus", corpus, "--context", str(TOKENS),
               "--tokens", str(CONTEXTS * TOKENS), "--splice-first", "--json"]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    (verdict,) = json.loads(run.stdout)
    assert verdict["model_precision"] == "f32"
    return verdict


@pytest.fixture(scope="module")
def theirs(hugging_face):
    """SAELens's own wrapping of a Hugging Face model; a tokenizer is not asked for anything here."""
    from sae_lens.load_model import HookedProxyLM

    module = f"model.layers.{LAYER}"
    return HookedProxyLM(hugging_face, types.SimpleNamespace(), hook_names=[module]), module


class Tokens:
    """The store of activations that evaluations take tokens of."""

    def __init__(self, tokens):
        self.batches = iter([tokens])

    def get_batch_tokens(self, contexts):
        return next(self.batches)[:contexts]


def agree(ours, theirs, names, within=1e-3):
    for mine, name in names.items():
        print(f"{mine}: {ours[mine]:.6f}, {name} {theirs[name]:.6f}")
        assert ours[mine] == pytest.approx(theirs[name], rel=within, abs=within), mine


def test_saelens(sae, ours, theirs, engine_rows):
    from sae_lens import evals
    from sae_lens.training.activation_scaler import ActivationScaler

    model, module = theirs
    sae.cfg.metadata.hook_name = module
    tokens, scaler = engine_rows[0], ActivationScaler()
    with torch.no_grad():
        losses = evals.get_downstream_reconstruction_metrics(
            sae, model, Tokens(tokens), scaler, True, True, 1, CONTEXTS, ignore_tokens=[END_OF_TEXT])
        rows, _ = evals.get_sparsity_and_variance_metrics(
            sae, model, Tokens(tokens), scaler, 1, True, True, True, True, CONTEXTS, {},
            ignore_tokens=[END_OF_TEXT])
    agree(ours, losses, {"ce_clean": "ce_loss_without_sae", "ce_spliced": "ce_loss_with_sae",
                         "ce_zero": "ce_loss_with_ablation", "ce_recovered": "ce_loss_score",
                         "kl_spliced": "kl_div_with_sae", "kl_zero": "kl_div_with_ablation",
                         "kl_recovered": "kl_div_score"})
    agree(ours, rows, {"l0": "l0", "cosine": "cossim", "norm_ratio": "l2_ratio"})
    agree(ours, rows, {"fve": "explained_variance",
                       "explained_variance_legacy": "explained_variance_legacy"}, 1e-5)


def test_saebench(sae, ours, theirs, engine_rows):
    from sae_bench.evals.core import main as core

    model, module = theirs
    flat = types.SimpleNamespace(hook_name=module, hook_layer=LAYER, hook_head_index=None,
                                 d_sae=2 * WIDTH)
    as_older = types.SimpleNamespace(cfg=flat, encode=sae.encode, decode=sae.decode, device="cpu")
    tokens = engine_rows[0]
    with torch.no_grad():
        losses = core.get_downstream_reconstruction_metrics(
            as_older, model, Tokens(tokens), True, True, 1, CONTEXTS, ignore_tokens={END_OF_TEXT},
            exclude_special_tokens_from_reconstruction=True)
        rows, _ = core.get_sparsity_and_variance_metrics(
            as_older, model, Tokens(tokens), 1, True, True, True, True, CONTEXTS, {},
            ignore_tokens={END_OF_TEXT})
    agree(ours, losses, {"ce_recovered": "ce_loss_score", "kl_recovered": "kl_div_score"})
    agree(ours, rows, {"l0": "l0"})
    agree(ours, rows, {"explained_variance_saebench": "explained_variance",
                       "explained_variance_legacy": "explained_variance_legacy"}, 1e-5)


def test_explained_variances_are_not_each_other(ours):
    """The control: names that were exchanged would fail above."""
    kinds = [ours[k] for k in ("fve", "explained_variance_legacy", "explained_variance_saebench")]
    assert min(abs(a - b) for a, b in itertools.combinations(kinds, 2)) > 1e-4
