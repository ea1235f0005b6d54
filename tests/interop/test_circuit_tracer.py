"""Cross-layer transcoders, and transcoders of all layers, load in the real circuit-tracer and give
the trainer's reconstructions."""
import json
import os
import pathlib
import subprocess

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from test_exports import agree

ROOT = pathlib.Path(__file__).resolve().parents[2]
DRIVER = ROOT / os.environ.get("BUILD", "build") / "tests/interop/export_driver"
CLTS = ["clt-jumprelu", "clt-batchtopk"]
TRANSCODERS = ["transcoder-l1", "transcoder-batchtopk", "skip-transcoder-l1", "skip-transcoder-batchtopk"]
LAYERS, WIDTH, EACH = 3, 96, 384
NEAR = 1e-6  # of a threshold: either side is right


def driven(kind, tmp_path_factory):
    folder = tmp_path_factory.mktemp(kind)
    subprocess.run([str(DRIVER), kind, str(folder)], check=True)
    rows = load_file(folder / "rows.safetensors")
    return folder, rows["x"], rows["out"]


@pytest.fixture(scope="module", params=CLTS)
def clt(request, tmp_path_factory):
    return driven(request.param, tmp_path_factory)


@pytest.fixture(scope="module", params=TRANSCODERS)
def transcoder(request, tmp_path_factory):
    return request.param, *driven(request.param, tmp_path_factory)


def load(folder, **more):
    from circuit_tracer.transcoder.cross_layer_transcoder import load_clt

    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["model_kind"] == "cross_layer_transcoder"
    return load_clt(
        str(folder),
        feature_input_hook=config["feature_input_hook"],
        feature_output_hook=config["feature_output_hook"],
        scan=config["scan"],
        device=torch.device("cpu"),
        dtype=torch.float32,
        **more,
    )


def layers_of(x):
    """(rows, layers of values) as (layers, rows, values)."""
    return torch.stack(x.split(x.shape[1] // LAYERS, dim=-1))


def test_clt(clt):
    folder, x, out = clt
    for lazy in (False, True):
        model = load(folder / "circuit-tracer", lazy_decoder=lazy, lazy_encoder=lazy)
        assert (model.n_layers, model.d_transcoder, model.d_model) == (LAYERS, EACH, WIDTH)
        assert (model.feature_input_hook, model.feature_output_hook) == ("hook_resid_mid", "hook_mlp_out")
        given, wanted = layers_of(x[:, : LAYERS * WIDTH]), layers_of(out)
        with torch.no_grad():
            pre = torch.stack([model.encode_layer(given[i], i, False) for i in range(LAYERS)])
            threshold = model.activation_function.threshold
            sure = ((pre - threshold).abs() > NEAR).all(-1).all(0)
            features = model.encode(given)
            got = model.decode(features)
            for layer in range(LAYERS):
                agree(got[layer], wanted[layer], sure)
        assert (features > 0).sum() > 0


def test_every_layer_is_written_by_all_before(clt):
    folder, _, _ = clt
    for layer in range(LAYERS):
        w = load_file(folder / "circuit-tracer" / f"W_dec_{layer}.safetensors")[f"W_dec_{layer}"]
        assert w.shape == (EACH, LAYERS - layer, WIDTH)
        assert (w.abs().amax((0, 2)) > 0).all()
    metadata = json.loads((folder / "circuit-tracer" / "metadata.json").read_text())
    assert metadata["training_tokens"] == 40960


def test_clt_control(clt, tmp_path):
    """That a wrong decoder would be seen."""
    import shutil

    folder, x, out = clt
    shutil.copytree(folder / "circuit-tracer", tmp_path / "clt")
    path = tmp_path / "clt" / "W_dec_0.safetensors"
    w = load_file(path)
    w["W_dec_0"] = w["W_dec_0"].flip(1).contiguous()
    save_file(w, path)
    model = load(tmp_path / "clt")
    with torch.no_grad():
        got = model.decode(model.encode(layers_of(x[:, : LAYERS * WIDTH])))
    with pytest.raises(AssertionError):
        agree(got[0], layers_of(out)[0], torch.ones(len(out), dtype=torch.bool))


def test_clt_in_our_own_layout(clt):
    folder, x, out = clt
    cfg = json.loads((folder / "hooks" / "cfg.json").read_text())
    w = load_file(folder / "hooks" / "weights.safetensors")
    assert cfg["architecture"] == "clt" and cfg["d_sae"] == LAYERS * EACH
    assert [hook["name"] for hook in cfg["out"]] == [f"blocks.{n}.hook_mlp_out" for n in range(3)]
    given, got, sure = layers_of(x[:, : LAYERS * WIDTH]), [], torch.ones(len(x), dtype=torch.bool)
    for layer in range(LAYERS):
        got.append(w[f"b_dec.{layer}"].expand(len(x), -1).clone())
    for layer in range(LAYERS):
        pre = given[layer] @ w[f"W_enc.{layer}"] + w[f"b_enc.{layer}"]
        sure &= ((pre - w[f"threshold.{layer}"]).abs() > NEAR).all(-1)
        writes = (pre * (pre > w[f"threshold.{layer}"])) @ w[f"W_dec.{layer}"]
        for later, part in enumerate(writes.split(WIDTH, dim=-1)):
            got[layer + later] += part
    agree(torch.cat(got, -1), out, sure)


def test_the_lines_that_are_printed_load_it(clt):
    folder, x, _ = clt
    for layout in ("circuit-tracer", "hooks"):
        names = {"activations": layers_of(x[:, : LAYERS * WIDTH])}
        exec((folder / f"{layout}.py").read_text(), names)
        assert sum(int((f > 0).sum()) for f in names["features"]) > 0


def test_transcoder_set(transcoder):
    from circuit_tracer.transcoder.single_layer_transcoder import load_transcoder_set

    kind, folder, x, out = transcoder
    config = yaml.safe_load((folder / "circuit-tracer" / "config.yaml").read_text())
    assert config["model_kind"] == "transcoder_set"
    path = str(folder / "circuit-tracer" / "layer_15.safetensors")
    for lazy in (False, True):
        transcoders = load_transcoder_set(
            {0: path},
            scan=config["scan"],
            feature_input_hook=config["feature_input_hook"],
            feature_output_hook=config["feature_output_hook"],
            device=torch.device("cpu"),
            lazy_encoder=lazy,
            lazy_decoder=lazy,
        )
        assert transcoders.skip_connection == kind.startswith("skip")
        one, given = transcoders[0], x[:, :288]
        with torch.no_grad():
            pre = one.encode(given, apply_activation_function=False)
            threshold = getattr(one.activation_function, "threshold", torch.zeros(()))
            assert kind.endswith("l1") or threshold.min() > 0
            sure = ((pre - threshold).abs() > 1e-5).all(-1)
            agree(one(given), out, sure if kind.endswith("batchtopk") else torch.ones_like(sure))


def test_topk_is_not_there(tmp_path):
    """circuit-tracer has no place for it, so nothing is written that would load as something else."""
    subprocess.run([str(DRIVER), "transcoder-topk", str(tmp_path)], check=True)
    assert not (tmp_path / "circuit-tracer").exists()
