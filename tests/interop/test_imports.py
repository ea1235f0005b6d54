"""What the real SAELens and sparsify save is opened by us, and gives their features and rows."""
import os
import pathlib
import subprocess

import pytest
import torch
from safetensors.torch import load_file, save_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
DRIVER = ROOT / os.environ.get("BUILD", "build") / "tests/interop/import_driver"
WIDTH, FEATURES, K, ROWS = 24, 96, 8, 200


def fill(module):
    """Random weights of ordinary size; SAELens begins with zeros in many places."""
    torch.manual_seed(3)
    with torch.no_grad():
        for name, p in module.named_parameters():
            scale = 0.5 if p.dim() > 1 else 0.1
            p.copy_(torch.randn(p.shape) * scale)
            if "threshold" in name:
                p.abs_()


def ours(folder, tmp_path, x):
    save_file({"x": x}, tmp_path / "rows.safetensors")
    run = subprocess.run(
        [str(DRIVER), str(folder), str(tmp_path / "rows.safetensors"), str(tmp_path / "out.safetensors")],
        check=True, capture_output=True, text=True)
    got = load_file(tmp_path / "out.safetensors")
    return run.stdout.split(), got["features"], got["out"]


def agree(got, wanted):
    distance = (got - wanted).norm(dim=-1) / wanted.norm(dim=-1).clamp(min=1e-6)
    assert distance.max() <= 1e-4, distance.max()


KINDS = ["standard", "standard-centred", "topk", "topk-rescaled", "jumprelu", "gated", "transcoder",
         "skip_transcoder", "jumprelu_transcoder", "jumprelu_skip_transcoder"]


def saelens_module(kind):
    from sae_lens.saes.gated_sae import GatedSAE, GatedSAEConfig
    from sae_lens.saes.jumprelu_sae import JumpReLUSAE, JumpReLUSAEConfig
    from sae_lens.saes.sae import SAEMetadata
    from sae_lens.saes.standard_sae import StandardSAE, StandardSAEConfig
    from sae_lens.saes.topk_sae import TopKSAE, TopKSAEConfig
    from sae_lens.saes.transcoder import (JumpReLUSkipTranscoder, JumpReLUSkipTranscoderConfig,
                                          JumpReLUTranscoder, JumpReLUTranscoderConfig,
                                          SkipTranscoder, SkipTranscoderConfig, Transcoder,
                                          TranscoderConfig)

    classes = {"standard": (StandardSAE, StandardSAEConfig), "topk": (TopKSAE, TopKSAEConfig),
               "jumprelu": (JumpReLUSAE, JumpReLUSAEConfig), "gated": (GatedSAE, GatedSAEConfig),
               "transcoder": (Transcoder, TranscoderConfig),
               "skip_transcoder": (SkipTranscoder, SkipTranscoderConfig),
               "jumprelu_transcoder": (JumpReLUTranscoder, JumpReLUTranscoderConfig),
               "jumprelu_skip_transcoder": (JumpReLUSkipTranscoder, JumpReLUSkipTranscoderConfig)}
    module, config = classes[kind.split("-")[0]]
    keys = {"d_in": WIDTH, "d_sae": FEATURES, "dtype": "float32", "device": "cpu",
            "metadata": SAEMetadata(hook_name="blocks.3.hook_resid_post"),
            "apply_b_dec_to_input": kind == "standard-centred"}
    if kind.startswith("topk"):
        keys |= {"k": K, "rescale_acts_by_decoder_norm": kind == "topk-rescaled"}
    if "transcoder" in kind:
        keys["d_out"] = WIDTH
    return module(config(**keys))


@pytest.mark.parametrize("kind", KINDS)
def test_saelens(kind, tmp_path):
    sae = saelens_module(kind)
    fill(sae)
    sae.save_model(str(tmp_path / "sae"))
    x = torch.randn(ROWS, WIDTH)
    said, features, out = ours(tmp_path / "sae", tmp_path, x)
    assert said == ["saelens", "blocks.3.hook_resid_post"]
    with torch.no_grad():
        wanted = sae.encode(x)
        wanted = wanted.to_dense() if wanted.is_sparse else wanted
        agree(features, wanted)
        agree(out, sae(x))
    assert (features > 0).sum() > ROWS


@pytest.mark.parametrize("kind", ["topk", "transcode", "skip"])
def test_sparsify(kind, tmp_path):
    from sparsify import SparseCoder, SparseCoderConfig

    cfg = SparseCoderConfig(num_latents=FEATURES, k=K, transcode=kind != "topk",
                            skip_connection=kind == "skip")
    sae = SparseCoder(WIDTH, cfg, device="cpu")
    fill(sae)
    sae.save_to_disk(str(tmp_path / "all" / "layers.3"))
    x = torch.randn(ROWS, WIDTH)
    said, features, out = ours(tmp_path / "all", tmp_path, x)
    assert said == ["sparsify"]
    with torch.no_grad():
        encoded = sae.encode(x)
        wanted = torch.zeros(ROWS, FEATURES).scatter_(1, encoded.top_indices, encoded.top_acts)
        agree(features, wanted)
        agree(out, sae(x).sae_out)
