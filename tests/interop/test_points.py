"""Hooks by Hugging Face's names are what its modules return: SmolLM2's layer 15."""
import itertools
import subprocess

import numpy
import pytest
import torch

from test_rows import CACHE, CORPUS, DRIVER, FARTHEST, LAYER, MODEL, ROW_ID, WIDTH

CONTEXTS, TOKENS, DOCUMENTS = 2, 128, 4
# Ours, and the module whose output it is.
MODULES = {
    f"model.layers.{LAYER}": "",
    f"model.layers.{LAYER}.mlp": "mlp",
    f"model.layers.{LAYER}.self_attn": "self_attn",
    f"blocks.{LAYER}.hook_resid_pre": "input_layernorm",  # what goes into it
    f"blocks.{LAYER}.hook_resid_mid": "post_attention_layernorm",  # the same
}


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    folder = tmp_path_factory.mktemp("points")
    corpus = folder / "corpus.jsonl"
    with open(CORPUS, encoding="utf-8") as lines:
        corpus.write_text("".join(itertools.islice(lines, DOCUMENTS)), encoding="utf-8")
    arguments = [MODEL, CACHE, corpus, str(CONTEXTS), str(TOKENS), folder, *MODULES]
    subprocess.run([DRIVER, *arguments], check=True)
    ids = numpy.fromfile(folder / "ids", ROW_ID)
    rows = torch.from_numpy(numpy.fromfile(folder / "rows", "<f4"))
    return ids, rows.reshape(len(ids), len(MODULES), WIDTH)


@pytest.fixture(scope="module")
def theirs(ours, hugging_face):
    ids, _ = ours
    layer, seen = hugging_face.model.layers[LAYER], {name: [] for name in MODULES}
    hooks = []

    def note(name, takes_input):
        def hook(module, given, out):
            value = given[0] if takes_input else out[0] if isinstance(out, tuple) else out
            seen[name].append(value.reshape(-1, WIDTH))

        return hook

    for name, module in MODULES.items():
        target = getattr(layer, module) if module else layer
        hooks.append(target.register_forward_hook(note(name, "layernorm" in module)))
    with torch.no_grad():
        for sequence in numpy.unique(ids["sequence"]):
            tokens = ids["token"][ids["sequence"] == sequence]
            hugging_face(torch.from_numpy(tokens.astype(numpy.int64))[None])
    for hook in hooks:
        hook.remove()
    return {name: torch.cat(parts) for name, parts in seen.items()}


@pytest.mark.parametrize("hook", range(len(MODULES)), ids=list(MODULES))
def test_a_hook_is_its_module(ours, theirs, hook):
    ids, rows = ours
    kept = torch.from_numpy(ids["position"] > 0)
    mine, reference = rows[kept, hook], theirs[list(MODULES)[hook]][kept]
    apart = (mine - reference).norm(dim=-1) / reference.norm(dim=-1)
    print(f"{apart.max():.2e} at most, {apart.mean():.2e} on average")
    # A module's output is small beside the stream that it is computed from, in 16-bit attention.
    assert apart.mean() <= 4 * FARTHEST and apart.max() <= 20 * FARTHEST
    others = (mine[:-1] - reference[1:]).norm(dim=-1) / reference[1:].norm(dim=-1)
    assert others.mean() > 10 * apart.mean()
