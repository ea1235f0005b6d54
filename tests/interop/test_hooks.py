"""Transcoders load in the real SAELens and sparsify; those and crosscoders from our own layout by what
docs/EXPORTS.md says of it. All give the trainer's reconstructions."""
import json
import os
import pathlib
import subprocess

import pytest
import torch
from safetensors.torch import load_file

from test_exports import K, agree, sure_rows

ROOT = pathlib.Path(__file__).resolve().parents[2]
DRIVER = ROOT / os.environ.get("BUILD", "build") / "tests/interop/export_driver"
TRANSCODERS = [f"{skip}transcoder-{a}" for skip in ("", "skip-") for a in ("l1", "topk", "batchtopk")]
CROSSCODERS = [f"crosscoder-{a}" for a in ("l1", "topk", "batchtopk")]


@pytest.fixture(scope="module", params=TRANSCODERS + CROSSCODERS)
def exported(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    subprocess.run([str(DRIVER), request.param, str(folder)], check=True)
    rows = load_file(folder / "rows.safetensors")
    return request.param, folder, rows["x"], rows["out"]


def selection(kind):
    return "topk" if kind.endswith("-topk") else "other"


def test_saelens(exported):
    from sae_lens import SAE

    kind, folder, x, out = exported
    if kind.startswith("crosscoder") or selection(kind) == "topk":
        assert not (folder / "saelens").exists()  # it has no such architecture
        return
    sae = SAE.load_from_disk(str(folder / "saelens"))
    skip = "skip_" if kind.startswith("skip") else ""
    jump = "jumprelu_" if kind.endswith("batchtopk") else ""
    assert sae.cfg.architecture() == f"{jump}{skip}transcoder"
    assert (sae.cfg.d_in, sae.cfg.d_out) == (288, 288)
    assert sae.cfg.metadata.hook_name == "blocks.15.hook_resid_post"
    assert sae.cfg.metadata.hook_name_out == "ffn_out-15"
    with torch.no_grad():
        pre = x[:, :288] @ sae.W_enc + sae.b_enc
        agree(sae(x[:, :288]), out, sure_rows(pre, kind, getattr(sae, "threshold", None)))
        assert not torch.allclose(out, out.mean(0), rtol=1e-2)  # something was learned
        if skip:
            assert sae.W_skip.abs().max() > 0


def test_sparsify(exported):
    from sparsify import SparseCoder

    kind, folder, x, out = exported
    if kind.startswith("crosscoder") or selection(kind) != "topk":
        assert not (folder / "sparsify").exists()
        return
    sae = SparseCoder.load_from_disk(folder / "sparsify" / "layers.15")
    assert sae.cfg.transcode and sae.cfg.skip_connection == kind.startswith("skip") and sae.cfg.k == K
    with torch.no_grad():
        pre = x[:, :288] @ sae.encoder.weight.T + sae.encoder.bias
        agree(sae(x[:, :288], x[:, 288:]).sae_out, out, sure_rows(pre, "topk"))


def test_our_own_layout(exported):
    kind, folder, x, out = exported
    cfg = json.loads((folder / "hooks" / "cfg.json").read_text())
    w = load_file(folder / "hooks" / "weights.safetensors")
    assert cfg["format"] == "sluice-hooks-1" and cfg["architecture"] in kind
    widths = [hook["width"] for hook in cfg["in"]]
    parts = list(x[:, : sum(widths)].split(widths, dim=-1))
    if kind.startswith("crosscoder"):
        assert [hook["name"] for hook in cfg["out"]] == [f"resid_post.{n}" for n in (14, 15, 16)]
        assert widths == [192, 192, 192]
    pre = w["b_enc"].clone()
    for i, part in enumerate(parts):
        pre = pre + (part - w[f"b_dec.{i}"] if cfg["subtracts_b_dec"] else part) @ w[f"W_enc.{i}"]
    if cfg["activation"] == "relu":
        f = pre.relu()
    elif cfg["activation"] == "jumprelu":
        f = pre * (pre > w["threshold"])
    else:
        f = pre.relu() * (pre >= pre.topk(cfg["k"]).values[:, -1:])
    got = [f @ w[f"W_dec.{i}"] + w[f"b_dec.{i}"] for i in range(len(cfg["out"]))]
    if cfg["skip"]:
        got[0] = got[0] + parts[0] @ w["W_skip"].T
    agree(torch.cat(got, -1), out, sure_rows(pre, selection(kind), w.get("threshold")))
    told = {"activations": parts if kind.startswith("crosscoder") else parts[0]}
    exec((folder / "hooks.py").read_text(), told)
    assert torch.allclose(told["features"], f, rtol=1e-3, atol=1e-3)
