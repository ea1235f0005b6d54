"""The engine's rows are Hugging Face's: SmolLM2's layer 15 for the same tokens."""
import itertools
import os
import pathlib
import subprocess

import numpy
import pytest
import torch

ROOT = pathlib.Path(__file__).resolve().parents[2]
DRIVER = ROOT / os.environ.get("BUILD", "build") / "tests/interop/rows_driver"
MODEL = pathlib.Path(os.environ["SLUICE_MODEL"])
CORPUS = pathlib.Path(os.environ["SLUICE_CORPUS"])
CACHE = MODEL.parents[1]
LAYER, WIDTH = 15, 576
CONTEXTS, TOKENS, DOCUMENTS = 3, 192, 6
# Both compute in float32 with the same weights (the prepared model's are the file's, dequantized),
# but llama.cpp's flash attention takes keys and values, and sums, in 16 bits. Measured here, rows
# are 1.3e-3 of the norm apart at most and 3.1e-4 on average; about twice that is allowed. Rows of
# different tokens are 7e-2 apart at least.
FARTHEST, MEAN = 3e-3, 6e-4

ROW_ID = numpy.dtype([("sequence", "<u8"), ("position", "<u4"), ("token", "<u4")])


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    """Identities and rows that the engine makes out of the corpus's first documents."""
    folder = tmp_path_factory.mktemp("rows")
    corpus = folder / "corpus.jsonl"
    with open(CORPUS, encoding="utf-8") as lines:
        corpus.write_text("".join(itertools.islice(lines, DOCUMENTS)), encoding="utf-8")
    numbers = [str(CONTEXTS), str(TOKENS)]
    subprocess.run([DRIVER, MODEL, CACHE, corpus, *numbers, folder], check=True)
    ids = numpy.fromfile(folder / "ids", ROW_ID)
    rows = torch.from_numpy(numpy.fromfile(folder / "rows", "<f4")).reshape(-1, WIDTH)
    return ids, rows


@pytest.fixture(scope="module")
def theirs(ours, hugging_face):
    """Hugging Face's rows for the same tokens, in the same order."""
    ids, _ = ours
    seen = []
    layer = hugging_face.model.layers[LAYER]
    hook = layer.register_forward_hook(lambda module, given, out: seen.append(out))
    with torch.no_grad():
        for sequence in numpy.unique(ids["sequence"]):
            tokens = ids["token"][ids["sequence"] == sequence]
            hugging_face(torch.from_numpy(tokens.astype(numpy.int64))[None])
    hook.remove()
    return torch.cat([out.reshape(-1, WIDTH) for out in seen])


def distances(rows, reference):
    """Of each row from each reference row, relative to the latter's norm. Position 0, a sink whose
    norm dwarfs the others', is left out by the caller."""
    # Differences, not products: with norms this large a product's rounding would show.
    apart = torch.cdist(
        rows.double(), reference.double(), compute_mode="donot_use_mm_for_euclid_dist"
    )
    return apart / reference.double().norm(dim=-1)


def nearest_is_own(apart):
    return apart.argmin(dim=1) == torch.arange(apart.shape[0])


def without_first(ids, rows):
    return rows[torch.from_numpy(ids["position"] > 0)]


def test_every_context_is_whole(ours):
    ids, rows = ours
    assert rows.shape[0] == len(ids) == CONTEXTS * TOKENS
    sequences = ids["sequence"].reshape(CONTEXTS, TOKENS)
    assert (sequences == sequences[:, :1]).all() and len(set(sequences[:, 0])) == CONTEXTS
    assert (ids["position"].reshape(CONTEXTS, TOKENS) == numpy.arange(TOKENS)).all()


def test_rows_are_hugging_faces(ours, theirs):
    ids, rows = ours
    apart = distances(without_first(ids, rows), without_first(ids, theirs))
    own = apart.diagonal()
    others = apart.clone().fill_diagonal_(float("inf")).min()
    print(f"{len(own)} rows: {own.max():.2e} at most, {own.mean():.2e} on average from their own;")
    print(f"{others:.2e} at least from another")
    assert nearest_is_own(apart).all()
    assert own.max() <= FARTHEST and own.mean() <= MEAN


def test_rows_of_the_next_token_are_not(ours, theirs):
    """The control: were rows and identities off by one, the test above would fail."""
    ids, rows = ours
    apart = distances(without_first(ids, rows)[:-1], without_first(ids, theirs)[1:])
    assert not nearest_is_own(apart).any()
    assert apart.diagonal().min() > FARTHEST
