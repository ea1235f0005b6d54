"""What both sides are given: SmolLM2's rows, made once and kept in the cache.

A folder of it holds, as bench_learn.c reads them: rows, held (float32, width), mean (float32), order
(uint32: the order in which all sides take the rows, batch by batch, begun again when it ends).
"""
import os
import shutil
import subprocess

import numpy

from common import BATCH, BUILD, CACHE, CONTEXT, CORPUS, MODEL, WIDTH, say

# 127 batches, and one context in 52 held out: 20.
CONTEXTS = int(os.environ.get("BENCH_PEER_CONTEXTS", "1040"))
HELD_OUT_SHARE = 52
ROW_ID = numpy.dtype([("sequence", "<u8"), ("position", "<u4"), ("token", "<u4")])


def write_rows(folder, contexts):
    """Identities and float32 rows of whole contexts, by the engine."""
    say(f"making {contexts} contexts of {CONTEXT} tokens, and their rows "
        f"({contexts * CONTEXT // 1400} s on 2 quiet cores)")
    driver = BUILD / "tests/interop/rows_driver"
    arguments = [MODEL, CACHE, CORPUS, str(contexts), str(CONTEXT), folder]
    subprocess.run([driver, *arguments], check=True)


def read_ids(folder):
    return numpy.fromfile(folder / "ids", ROW_ID).reshape(-1, CONTEXT)


def write_given(folder, rows, held, seed=0, batch=BATCH):
    """Scaled so that E||x||^2 = D, by one constant, and in a fixed random order."""
    scale = numpy.sqrt(rows.shape[1] / numpy.mean(numpy.sum(rows[:65536] ** 2.0, axis=1)))
    for name, values in (("rows", rows), ("held", held)):
        (values * numpy.float32(scale)).astype("<f4").tofile(folder / name)
    (rows[:65536].mean(0) * scale).astype("<f4").tofile(folder / "mean")
    order = numpy.random.default_rng(seed).permutation(len(rows))
    order[:len(rows) // batch * batch].astype("<u4").tofile(folder / "order")


def real_rows():
    """The folder of SmolLM2's rows; position 0 of a context, an attention sink, is left out."""
    folder = CACHE / f"bench/smollm2-{CONTEXTS}"
    if (folder / "order").exists():
        return folder
    raw, new = CACHE / f"bench/rows-{CONTEXTS}.new", CACHE / f"bench/smollm2-{CONTEXTS}.new"
    for path in (raw, new):
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
    write_rows(raw, CONTEXTS)
    rows = numpy.memmap(raw / "rows", "<f4", "r").reshape(-1, CONTEXT, WIDTH)[:, 1:]
    held = numpy.arange(len(rows)) % HELD_OUT_SHARE == 0
    write_given(new, rows[~held].reshape(-1, WIDTH), rows[held].reshape(-1, WIDTH))
    new.rename(folder)
    shutil.rmtree(raw)
    return folder


class Given:
    """The rows of such a folder, mapped: a page that is read counts as the file's memory."""

    def __init__(self, folder):
        self.mean = numpy.fromfile(folder / "mean", "<f4")
        self.rows = numpy.memmap(folder / "rows", "<f4", "r").reshape(-1, len(self.mean))
        self.order = numpy.fromfile(folder / "order", "<u4")
        self.folder = folder

    def batch(self, step, size=BATCH):
        import torch

        places = numpy.arange(step * size, (step + 1) * size) % len(self.order)
        return torch.from_numpy(self.rows[self.order[places]])

    def held(self):
        import torch

        held = numpy.fromfile(self.folder / "held", "<f4").reshape(-1, len(self.mean))
        return torch.from_numpy(held)
