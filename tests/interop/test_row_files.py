"""The engine `files` reads what NumPy, ml_dtypes and safetensors write, bit for bit."""
import importlib.util
import os
import pathlib
import subprocess

import ml_dtypes
import numpy
import pytest
from safetensors.numpy import save_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
DRIVER = ROOT / os.environ.get("BUILD", "build") / "tests/interop/files_driver"
ROW_ID = numpy.dtype([("sequence", "<u8"), ("position", "<u4"), ("token", "<u4")])
RANDOM = numpy.random.default_rng(7)


def read(folder, path, axes="auto", dtype="auto", *tensors):
    subprocess.run([DRIVER, folder, path, axes, dtype, *tensors], check=True)
    ids = numpy.fromfile(folder / "ids", ROW_ID)
    return ids, numpy.fromfile(folder / "rows", "<f4").reshape(len(ids), -1)


def same(rows, array):
    """As NumPy converts it: float64 to the nearest float32, NaN as NaN."""
    with numpy.errstate(over="ignore"):
        expected = numpy.ascontiguousarray(array).astype("<f4").reshape(len(rows), -1)
    numpy.testing.assert_array_equal(rows, expected)


def numbers(shape, dtype):
    array = RANDOM.normal(size=shape) * 10.0 ** RANDOM.integers(-6, 4, size=shape)
    array.flat[:4] = numpy.inf, -numpy.inf, numpy.nan, -0.0
    if numpy.dtype(dtype).itemsize == 8:
        array.flat[4:8] = 1e300, -1e300, 1e-310, 1e-42
    with numpy.errstate(over="ignore"):
        return array.astype(dtype)


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", ">f2", ">f4", ">f8", "bf16"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("axes,shape", [("auto", (6007, 33)), ("sequences", (31, 57, 12)),
                                        ("layers", (1009, 3, 12))])
def test_arrays(tmp_path, dtype, order, axes, shape):
    kind = ml_dtypes.bfloat16 if dtype == "bf16" else dtype
    array = numpy.asarray(numbers(shape, kind), order=order)
    said = "bf16" if dtype == "bf16" else "auto"
    numpy.save(tmp_path / "a.npy", array)
    numpy.savez(tmp_path / "a.npz", array)
    numpy.savez_compressed(tmp_path / "b.npz", array)
    for name in ("a.npy", "a.npz", "b.npz"):
        ids, rows = read(tmp_path, tmp_path / name, axes, said)
        same(rows, array)
        if axes == "sequences":
            assert (ids["sequence"] == numpy.arange(len(ids)) // shape[1]).all()
    if dtype[0] != ">" and order == "C":
        save_file({"a": array}, tmp_path / "a.safetensors")
        same(read(tmp_path, tmp_path / "a.safetensors", axes)[1], array)


@pytest.mark.parametrize("dtype", ["<i8", "<u8", "<i4", ">i4", "<u2", ">u2", "<i2", "u1"])
def test_ids(tmp_path, dtype):
    rows = 5003
    lengths = RANDOM.integers(1, 40, size=rows)
    sequences = numpy.repeat(RANDOM.permutation(rows) % 100, lengths)[:rows].astype(dtype)
    most = min(int(numpy.iinfo(dtype).max), 2**32 - 1)
    tokens = RANDOM.integers(0, most, size=rows, endpoint=True)
    array = numbers((rows, 8), "<f4")
    arrays = dict(acts=array, tokens=tokens.astype(dtype), sequences=sequences)
    numpy.savez_compressed(tmp_path / "a.npz", **arrays)
    names = ["a.npz"]
    if dtype[0] != ">":
        save_file(arrays, tmp_path / "a.safetensors")
        names.append("a.safetensors")
    begins = numpy.concatenate([[True], sequences[1:] != sequences[:-1]])
    number = numpy.cumsum(begins) - 1
    for name in names:
        ids, found = read(tmp_path, tmp_path / name, "auto", "auto", "acts", "tokens", "sequences")
        same(found, array)
        assert (ids["token"] == arrays["tokens"]).all()
        assert (ids["sequence"] == number).all()
        assert (ids["position"] == numpy.arange(rows) - numpy.flatnonzero(begins)[number]).all()


def test_kept_files_are_what_the_script_makes(tmp_path):
    """Those that the unit tests read; archives may differ in dates, so their arrays are compared."""
    folder = ROOT / "tests/rows"
    spec = importlib.util.spec_from_file_location("make", folder / "make.py")
    make = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make)
    make.main(tmp_path)
    made = sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file())
    assert len(made) > 30
    for path in made:
        if path.suffix == ".npz":
            old, new = numpy.load(folder / path), numpy.load(tmp_path / path)
            assert old.files == new.files
            assert all(old[n].tobytes() == new[n].tobytes() for n in old.files)
        else:
            assert (folder / path).read_bytes() == (tmp_path / path).read_bytes(), path
