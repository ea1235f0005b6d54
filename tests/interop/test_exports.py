"""Exports load in the real SAELens and sparsify and give the trainer's reconstructions."""
import os
import pathlib
import subprocess

import pytest
import torch
from safetensors.torch import load_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
DRIVER = ROOT / os.environ.get("BUILD", "build") / "tests/interop/export_driver"
K = 32


@pytest.fixture(scope="module", params=["topk", "batchtopk", "matryoshka", "jumprelu", "gated", "l1"])
def exported(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    subprocess.run([str(DRIVER), request.param, str(folder)], check=True)
    rows = load_file(folder / "rows.safetensors")
    return request.param, folder, rows["x"], rows["out"]


def sure_rows(pre, arch, threshold=None):
    """Rows whose K-th and next pre-activation, or each and its threshold, differ by more than 1e-5:
    elsewhere either choice of feature is right."""
    if threshold is not None:
        return ((pre - threshold).abs() > 1e-5).all(-1)
    if arch != "topk":
        return torch.ones(pre.shape[0], dtype=torch.bool)
    top = pre.topk(K + 1, dim=-1).values
    return top[:, K - 1] - top[:, K] > 1e-5


def agree(got, wanted, sure):
    assert sure.double().mean() >= 0.99
    distance = (got - wanted).norm(dim=-1) / wanted.norm(dim=-1)
    assert distance[sure].max() <= 1e-4, distance[sure].max()


def test_saelens(exported):
    from sae_lens import SAE

    arch, folder, x, out = exported
    sae = SAE.load_from_disk(str(folder / "saelens"))
    architectures = {"topk": "topk", "l1": "standard", "gated": "gated"}
    assert sae.cfg.architecture() == architectures.get(arch, "jumprelu")
    assert sae.cfg.metadata.hook_name == "blocks.15.hook_resid_post"
    assert sae.cfg.metadata.context_size == 512 and sae.cfg.metadata.prepend_bos is False
    assert sae.cfg.metadata.model_name == "made-up"
    assert sae.cfg.metadata.dataset_path == "made/up" and sae.cfg.metadata.training_tokens == 40960
    assert sae.cfg.metadata.l0 == 31.5 and sae.cfg.metadata.fve is None
    assert sae.cfg.metadata.hooks == [{"name": "resid_post.15", "folded_scale": 0.25}]
    with torch.no_grad():
        centred = x - sae.b_dec if sae.cfg.apply_b_dec_to_input else x
        pre = centred @ sae.W_enc + (sae.b_gate if arch == "gated" else sae.b_enc)
        agree(sae(x), out, sure_rows(pre, arch, getattr(sae, "threshold", None)))
        features = sae.encode(x)
        features = features.to_dense() if features.is_sparse else features
        assert ((features > 0).sum(-1) <= K).all() or arch != "topk"
    norms = sae.W_dec.norm(dim=-1)  # a feature's value is its part of the row's length
    assert torch.allclose(norms, torch.ones_like(norms), atol=1e-4)


def test_saelens_refuses_a_missing_tensor(exported, tmp_path):
    """The control: its loader is as strict as we take it to be."""
    import shutil

    from safetensors.torch import save_file
    from sae_lens import SAE

    _, folder, _, _ = exported
    shutil.copytree(folder / "saelens", tmp_path / "saelens")
    weights = tmp_path / "saelens" / "sae_weights.safetensors"
    tensors = load_file(weights)
    del tensors["b_dec"]
    save_file(tensors, weights)
    with pytest.raises(Exception):
        SAE.load_from_disk(str(tmp_path / "saelens"))


def test_sparsify(exported):
    arch, folder, x, out = exported
    if arch != "topk":
        assert not (folder / "sparsify").exists()  # it has no such architecture
        return
    from sparsify import SparseCoder

    sae = SparseCoder.load_from_disk(folder / "sparsify" / "layers.15")
    with torch.no_grad():
        pre = (x - sae.b_dec) @ sae.encoder.weight.T + sae.encoder.bias
        agree(sae(x).sae_out, out, sure_rows(pre, arch))
    found = SparseCoder.load_many(str(folder / "sparsify"), local=True)
    assert list(found) == ["layers.15"]


def test_metadata_stands_in_every_layout(exported):
    import json

    arch, folder, _, _ = exported
    files = [folder / "saelens/cfg.json"]
    files += [folder / "sparsify/layers.15/cfg.json"] if arch == "topk" else []
    for file in files:
        metadata = json.loads(file.read_text())["metadata"]
        assert metadata["training_tokens"] == 40960 and metadata["fve"] is None
        assert metadata["training_settings"] == {"lr": 1e-3}


@pytest.mark.parametrize("peer", ["saelens", "sparsify"])
def test_the_lines_that_a_user_is_told(exported, peer):
    arch, folder, x, _ = exported
    if arch != "topk" and peer == "sparsify":
        assert not (folder / "sparsify.py").exists()
        return
    names = {"activations": x[:4]}
    exec((folder / f"{peer}.py").read_text(), names)
    assert names["sae"] is not None and names["features"] is not None
